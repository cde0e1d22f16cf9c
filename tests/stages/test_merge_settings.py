"""What an experiment says of its dataset: pictures come into it, or stay in their shards."""

from pathlib import Path

import experiments
import pytest

import panic_hpc
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.stages.merge.experiments import merge

REFERENCE = {"merge": {"images": "reference"}}
STAGES = ("runs", "embeddings", "diagrams")


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> experiments.Planned:
    experiment = experiments.planned(tmp_path_factory.mktemp("merge") / "exp", stages=REFERENCE)
    experiment.work(*STAGES, "merge")
    return experiment


def is_whole(path: Path) -> bool:
    with panic_hpc.open(path) as dataset:
        return "images/values" in dataset.file.entries


def test_the_stage_leaves_pictures_where_the_experiment_says(worked: experiments.Planned) -> None:
    assert not is_whole(worked.paths.dataset)
    with panic_hpc.open(worked.paths.dataset) as dataset:
        assert dataset.image(0, dataset.image_steps(0)[0]).size


def test_a_merge_by_hand_does_as_the_experiment_says_unless_it_is_told(
    worked: experiments.Planned,
) -> None:
    for refer, whole in ((None, False), (False, True), (True, False)):
        target = worked.paths.root / "own.h5"
        merge([worked.paths.root], target, MergeOptions(refer=refer))
        assert is_whole(target) is whole


def test_experiments_that_do_not_agree_are_copied(
    worked: experiments.Planned, tmp_path: Path
) -> None:
    other = experiments.planned(tmp_path / "other", prompts=["a cup at dusk"])
    other.work(*STAGES)
    roots = [worked.paths.root, other.paths.root]
    merge(roots, tmp_path / "both.h5", MergeOptions(refer=None))
    assert is_whole(tmp_path / "both.h5")


def test_the_plan_counts_no_pictures_a_second_time(
    worked: experiments.Planned, tmp_path: Path
) -> None:
    copying = experiments.planned(tmp_path / "copying")
    stage = experiments.stage_named("merge")
    without = experiments.planned(
        tmp_path / "without", images={"keep_every": 0}, embedding_models=["DummyText"]
    )
    lean, whole = (stage.estimate(one.manifest) for one in (worked, copying))
    bare, full = (
        experiments.stage_named("runs").estimate(one.manifest) for one in (without, copying)
    )
    assert whole.nbytes - lean.nbytes == pytest.approx(full.nbytes - bare.nbytes)
    # They are read and compared all the same.
    assert lean.cpu_seconds == whole.cpu_seconds
