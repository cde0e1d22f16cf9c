"""Croissant descriptions: the reference loader validates them and reads the tables through them."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import synthetic
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.cli.datasets.export import export
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.exports.crate import Description
from panic_hpc.store.exports.croissant import export_croissant

polars = needs.library("polars", "analysis")
needs.library("pyarrow", "analysis")
ABOUT = Description(
    "Loops “of two”", ("Doe, Jane <0000-0002-1825-0097>", "Müller, Kim"), "Made up."
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    return synthetic.pictured(root)


@pytest.fixture(scope="module")
def folder(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("croissant") / "C"
    export_croissant(path, directory, ABOUT, "https://example.org/loops")
    return directory


@pytest.fixture(scope="module")
def loader(folder: Path) -> Any:
    """The reference loader's view of the folder; it raises where the description is invalid."""
    with warnings.catch_warnings():
        # Of libraries that it imports.
        warnings.simplefilter("ignore")
        mlcroissant = needs.library("mlcroissant", "dev")
        return mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))


def test_the_reference_loader_finds_nothing_wrong(loader: Any) -> None:
    assert loader.metadata.ctx.issues.errors == set()
    assert loader.metadata.ctx.issues.warnings == set()
    assert loader.metadata.name == ABOUT.title


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", ["runs", "invocations", "embeddings", "diagrams", "diagram_runs"])
def test_the_reference_loader_reads_every_table(loader: Any, folder: Path, table: str) -> None:
    frame = polars.read_parquet(folder / f"{table}.parquet")
    records = list(loader.records(table))
    assert len(records) == len(frame) > 0
    assert {name.partition("/")[2] for name in records[0]} == set(frame.columns)
    for record, row in zip(records, frame.rows(named=True), strict=True):
        for name, value in row.items():
            found = record[f"{table}/{name}"]
            if isinstance(value, str):
                assert found == value.encode()
            elif isinstance(value, list):
                assert np.array_equal(np.asarray(found, np.float32), np.asarray(value, np.float32))
            elif value is not None:
                assert np.allclose(found, value, equal_nan=True)


def test_every_file_is_described_with_its_checksum(folder: Path) -> None:
    described = json.loads((folder / "croissant.json").read_text())
    files = {one["contentUrl"]: one for one in described["distribution"]}
    there = {path.name for path in folder.iterdir()} - {"croissant.json", "dataset.h5.digest"}
    assert set(files) == there
    for name, one in files.items():
        content = (folder / name).read_bytes()
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["contentSize"] == f"{len(content)} B"
    assert verify_file(folder / "dataset.h5").findings == ()


def test_fields_say_what_they_mean(folder: Path) -> None:
    described = json.loads((folder / "croissant.json").read_text())
    fields = {one["@id"]: one for table in described["recordSet"] for one in table["field"]}
    assert fields["runs/ended"]["description"] == "why it ended (length; loop; failed; unknown)"
    assert fields["invocations/seconds"]["description"].endswith(", in s")
    assert "4: not_kept" in fields["invocations/flags"]["description"]
    assert fields["invocations/model"]["description"] == "name of the model"
    assert fields["diagram_runs/entropy_1"]["description"].startswith("persistence entropy")
    assert fields["embeddings/vector"]["repeated"]
    assert fields["diagrams/run"]["references"] == {"field": {"@id": "runs/run"}}
    # None is described by its name alone.
    assert [one for one in fields if fields[one]["description"] == one.partition("/")[2]] == []


def test_what_cannot_be_is_refused_before_anything_is_written(path: Path, tmp_path: Path) -> None:
    with pytest.raises(PanicError, match="author"):
        export_croissant(path, tmp_path / "C", Description("t", ()))
    assert not (tmp_path / "C").exists()
    (tmp_path / "mine").write_text("x")
    with pytest.raises(PanicError, match="not empty"):
        export_croissant(path, tmp_path, ABOUT)
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_the_verb_names_the_files(path: Path, tmp_path: Path) -> None:
    verb = ["croissant", str(path), "-o", str(tmp_path / "C"), "--title", "t", "--author", "Doe, J"]
    done = CliRunner().invoke(export, [*verb, "--json"])
    assert str(tmp_path / "C" / "croissant.json") in json.loads(done.stdout)
    with panic_hpc.open(tmp_path / "C" / "dataset.h5") as copy, panic_hpc.open(path) as dataset:
        assert copy.content_key == dataset.content_key
