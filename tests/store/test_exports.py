"""Exports hold what the dataset holds, for the programs that people will open them with."""

import json
import subprocess
from pathlib import Path

import needs
import numpy as np
import pytest
import synthetic
from PIL import Image

import panic_hpc
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.exports.crate import Description, export_crate, require_empty
from panic_hpc.store.exports.images import export_images
from panic_hpc.store.exports.parquet import export_parquet

polars = needs.library("polars", "analysis")
needs.library("pyarrow", "analysis")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exports")
    return synthetic.pictured(root)


@pytest.fixture(scope="module")
def tables(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("parquet")
    with panic_hpc.open(path) as dataset:
        export_parquet(dataset, directory)
    return directory


def test_parquet_in_polars(path: Path, tables: Path) -> None:
    with panic_hpc.open(path) as dataset:
        runs = polars.read_parquet(tables / "runs.parquet")
        assert runs["key"].to_list() == dataset.runs()["key"].to_list()
        assert runs["prompt_text"][0] == dataset.prompt_texts()[0]
        invocations = polars.read_parquet(tables / "invocations.parquet")
        for row in range(12):
            own = invocations.filter(run=row)
            assert own["step"].to_list() == list(range(len(own)))
            texts = {r["step"]: r["text"] for r in own.rows(named=True) if r["text"] is not None}
            assert texts == dataset.texts(row)
        embeddings = polars.read_parquet(tables / "embeddings.parquet")
        for model in ("Sense", "Sight"):
            own = embeddings.filter(run=4, model=model)
            steps, vectors = dataset.embeddings(4, model)
            assert own["step"].to_list() == steps.tolist()
            assert np.array_equal(np.array(own["vector"].to_list(), np.float32), vectors)


def test_parquet_in_duckdb(path: Path, tables: Path) -> None:
    duckdb = needs.library("duckdb", "dev")
    with panic_hpc.open(path) as dataset, duckdb.connect() as connection:
        query = f"select birth, death from '{tables}/diagrams.parquet' where model = 'Sight' and "
        for row in (0, 1, 3):
            for dimension, dgm in enumerate(dataset.diagrams(row, "Sight")):
                where = f"run = {row} and dimension = {dimension}"
                found = connection.execute(query + where).fetchall()
                assert np.array_equal(np.array(found, np.float32).reshape(-1, 2), dgm)
        (skipped,) = connection.execute(
            f"select count(*) from '{tables}/diagram_runs.parquet' where reason like 'too few%'"
        ).fetchone()
        assert skipped == 8


def test_parquet_in_pandas_with_units_and_key(path: Path, tables: Path) -> None:
    pandas = needs.library("pandas", "dev")
    import pyarrow.parquet as pq

    frame = pandas.read_parquet(tables / "diagram_runs.parquet")
    assert list(frame["entropy_0"]) == [1.0] * 24
    schema = pq.read_schema(tables / "invocations.parquet")
    assert schema.field("seconds").metadata[b"units"] == b"s"
    with panic_hpc.open(path) as dataset:
        assert schema.metadata[b"panic_hpc_content_key"].decode() == dataset.content_key


def test_parquet_does_not_overwrite(path: Path, tables: Path) -> None:
    with panic_hpc.open(path) as dataset, pytest.raises(PanicError, match="is there already"):
        export_parquet(dataset, tables)


@pytest.mark.parametrize("image_format", ["webp", "png"])
def test_images_are_the_same_pixels_and_say_what_they_are(
    path: Path, tmp_path: Path, image_format: str
) -> None:
    with panic_hpc.open(path) as dataset:
        written = export_images(dataset, tmp_path / "all", image_format=image_format)
        files = sorted((tmp_path / "all").rglob(f"*.{image_format}"))
        assert written == len(files) == dataset.file.rows("images/invocation")
        for file in files:
            with Image.open(file) as picture:
                about = json.loads(picture.getexif()[0x010E])
                pixels = np.asarray(picture.convert("RGB"))
            assert np.array_equal(pixels, dataset.image(about["run"], about["step"]))
            assert about["prompt"] in dataset.prompt_texts()
            assert about["model"] == "Painter"
            assert not any(prompt in str(file) for prompt in dataset.prompt_texts())
        some = export_images(dataset, tmp_path / "some", every=3, image_format="jpeg")
        assert some == sum(len(dataset.image_steps(row)[::3]) for row in range(12))


def crate_of(path: Path, directory: Path) -> list[Path]:
    about = Description(
        'Loops: "a study"',
        ("Doe, Jane <0000-0002-1825-0097>", "Müller, Kim"),
        "Made up.",
        publisher="Zenodo",
    )
    require_empty(directory)
    return export_crate([path], directory, about)


def test_crate_checks_itself_and_describes_the_data(path: Path, tmp_path: Path) -> None:
    needs.library("rocrate", "publish")
    crate_of(path, tmp_path / "crate")
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path / "crate",
                   check=True, capture_output=True)  # fmt: skip
    assert verify_file(tmp_path / "crate" / "dataset.h5").findings == ()
    with Dataset(path) as dataset:
        key = dataset.content_key
    for name in ("README.md", "CITATION.cff", "datacite.json", "ro-crate-metadata.json"):
        assert key in (tmp_path / "crate" / name).read_text(), name
    record = json.loads((tmp_path / "crate" / "datacite.json").read_text())
    assert record["creators"][1]["name"] == "Müller, Kim"
    assert record["types"]["resourceTypeGeneral"] == "Dataset"


def test_crate_is_a_process_run_crate(path: Path, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    crate_of(path, tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert crate.root_dataset["license"]["name"] == "CC-BY-4.0"
    assert crate.get("dataset.h5")["contentSize"] == str(path.stat().st_size)
    profiles = [profile.id for profile in crate.root_dataset["conformsTo"]]
    assert any(profile.endswith("process/0.5") for profile in profiles)


def test_crate_needs_an_empty_directory_and_an_author(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PanicError, match="not empty"):
        crate_of(path, tmp_path)
    with pytest.raises(PanicError, match="author"):
        export_crate([path], tmp_path / "new", Description("t", ()))
