"""Exports of datasets that were made of two experiments, or of two datasets into one place."""

from pathlib import Path

import experiments
import needs
import pytest

import panic_hpc
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
    parquet = needs.library("pyarrow.parquet", "analysis")
    roots = [made(tmp_path / f"E{d}", d, f"Dummy{m}") for d, m in ((1, "Text"), (2, "Vision"))]
    with panic_hpc.open(merged(tmp_path / "both.h5", *roots)) as dataset:
        paths = export_parquet(dataset, tmp_path / "tables")
    assert len(paths) == 5
    table = parquet.read_table(tmp_path / "tables/diagram_runs.parquet").to_pylist()
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
