"""Experiments below a directory."""

from pathlib import Path
from typing import Any

import pytest

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.plan import make_plan
from panic_hpc.workspace.finding import find_experiments


def plan_in(root: Path, small: dict[str, Any], **changes: Any) -> Manifest:
    experiment = Experiment.model_validate({**small, **changes})
    return manifest.write(make_plan(experiment, catalogue.load()), ExperimentPaths(root))


def test_experiments_are_found_with_what_is_known_of_them(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    planned = plan_in(tmp_path / "b" / "deep", small, name="deep")
    plan_in(tmp_path / "a", small)
    paths = ExperimentPaths(tmp_path / "b" / "deep")
    published = paths.stage_directory("embeddings", "DummyText")
    published.mkdir(parents=True)
    (published / "embeddings_00000.h5").touch()
    (published / ".embeddings_00001.h5.1-a.tmp").touch()
    paths.dataset.touch()
    first, second = find_experiments(tmp_path)
    assert (first.root, first.merged, first.n_published) == (tmp_path / "a", False, 0)
    assert (second.name, second.key, second.n_runs) == ("deep", planned.key, 4)
    assert (second.merged, second.n_published, second.n_networks) == (True, 1, 1)


def test_a_damaged_manifest_is_shown_and_stops_nothing(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    plan_in(tmp_path / "a", small)
    plan_in(tmp_path / "b", small)
    (tmp_path / "a" / "manifest.json").write_text("{")
    damaged, whole = find_experiments(tmp_path)
    assert "manifest.json" in damaged.problem
    assert whole.problem == ""


def test_other_programs_manifests_and_hidden_places_are_passed_over(
    tmp_path: Path, small: dict[str, Any]
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text('{"name": "a web application"}')
    plan_in(tmp_path / ".hidden" / "a", small)
    assert list(find_experiments(tmp_path)) == []


def test_a_circle_of_links_ends(tmp_path: Path, small: dict[str, Any]) -> None:
    plan_in(tmp_path / "a", small)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [found.root for found in find_experiments(tmp_path)] == [tmp_path / "a"]


def test_nothing_below_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StopIteration):
        next(find_experiments(tmp_path / "nothing"))
