"""Exports of datasets that were made of two experiments, or of two datasets into one place."""

import importlib
from pathlib import Path
from typing import Any

import experiments
import needs
import pytest

import panic_hpc
from panic_hpc.disk.overwriting import admit_directory
from panic_hpc.errors import PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.exports.images import export_images
from panic_hpc.store.exports.parquet import export_parquet


def made(root: Path, maxdim: int, model: str) -> Path:
    homology = {"engine": "gudhi", "maxdim": maxdim}
    planned = experiments.planned(root, embedding_models=[model], homology=homology)
    planned.work("runs", "embeddings", "diagrams")
    return root


def merged(target: Path, *roots: Path) -> Path:
    merge(roots, target, MergeOptions())
    return target


def test_models_of_two_homology_settings_become_one_table(tmp_path: Path) -> None:
    reader = needs.library("pyarrow.parquet", "analysis")
    roots = [made(tmp_path / f"E{d}", d, f"Dummy{m}") for d, m in ((1, "Text"), (2, "Vision"))]
    with panic_hpc.open(merged(tmp_path / "both.h5", *roots)) as dataset:
        paths = export_parquet(dataset, tmp_path / "tables")
    assert len(paths) == 5
    table = reader.read_table(tmp_path / "tables/diagram_runs.parquet").to_pylist()
    absent = {row["model"]: row["entropy_2"] is None for row in table if row["points"]}
    assert absent == {"DummyText": True, "DummyVision": False}


def test_images_of_two_datasets_do_not_mix(tmp_path: Path) -> None:
    datasets = [
        merged(tmp_path / f"{d}.h5", made(tmp_path / f"E{d}", d, "DummyText")) for d in (0, 1)
    ]
    target = tmp_path / "images"
    with panic_hpc.open(datasets[0]) as dataset:
        export_images(dataset, target, every=5)
    with panic_hpc.open(datasets[1]) as other, pytest.raises(PanicError, match="another dataset"):
        export_images(other, target, every=5, force=True)
    with panic_hpc.open(datasets[0]) as dataset:
        assert export_images(dataset, target, every=5, force=True)


def test_exports_of_two_datasets_at_once_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow.parquet")
    datasets = [
        merged(tmp_path / f"{d}.h5", made(tmp_path / f"E{d}", d, "DummyText")) for d in (0, 1)
    ]
    with panic_hpc.open(datasets[0]) as one, panic_hpc.open(datasets[1]) as other:
        # The other export runs to its end when the first has found the folder empty.
        at, admitted = "panic_hpc.store.exports.images.admit_directory", admit_directory

        def others_first(directory: Path, *rest: Any, **named: Any) -> None:
            admitted(directory, *rest, **named)
            monkeypatch.setattr(at, admitted)
            export_images(other, directory, every=5)

        monkeypatch.setattr(at, others_first)
        with pytest.raises(PanicError, match="holds images of another dataset"):
            export_images(one, tmp_path / "images", every=5)

        made_at = "panic_hpc.store.exports.parquet.make_any_directory"

        def others_tables(directory: Path) -> None:
            directory.mkdir()
            monkeypatch.setattr(made_at, lambda directory: None)
            export_parquet(other, directory)

        monkeypatch.setattr(made_at, others_tables)
        with pytest.raises(PanicError, match="is there already and would be replaced"):
            export_parquet(one, tmp_path / "tables")
        key = b"panic_hpc_content_key"
        read_schema = importlib.import_module("pyarrow.parquet").read_schema
        keys = {read_schema(path).metadata[key] for path in (tmp_path / "tables").iterdir()}
        assert keys == {other.content_key.encode()}
