"""Merging: the dataset holds what the shards held, whatever their layout and the ranks."""

from pathlib import Path

import forge
import numpy as np
import pytest
import synthetic
from synthetic import SENSE, SIGHT, Experiment

import panic_hpc
from panic_hpc.errors import ConflictError, PanicError, ShardError
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.format.shard import open_shard, publish_shard
from panic_hpc.store.results.base import DIGEST, kind_of
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS, INCOMPLETE
from panic_hpc.types import Prompt

LAYOUTS = ([12], [6, 6], [1] * 12, [5, 1, 4, 2])


def require_everything(dataset: Dataset, experiment: Experiment) -> None:
    """Compare every output, embedding and diagram with what the made-up experiment says."""
    runs = dataset.runs()
    assert runs["key"].to_list() == [run.key for run in experiment.runs]
    for row, run in enumerate(experiment.runs):
        n_steps = synthetic.steps_of(experiment, run)
        assert runs["n_steps"][row] == n_steps
        texts = {step: synthetic.caption(experiment, run, step) for step in range(1, n_steps, 2)}
        assert dataset.texts(run.key) == texts
        for step in range(0, n_steps, 2):
            assert dataset.image_bytes(row, step) == synthetic.picture(experiment, run, step)
        for spec in experiment.embedding_models:
            steps, vectors = dataset.embeddings(row, spec.name)
            expected = synthetic.embedding_steps(experiment, run, spec)
            assert steps.tolist() == expected
            for step, vector in zip(expected, vectors, strict=True):
                assert np.array_equal(vector, synthetic.vector(run, step, spec))
        require_diagrams(dataset, row, run.seed)
        invocations = dataset.invocations(row)
        names = [spec.name for spec in experiment.networks[run.network]]
        assert invocations["model"].to_list() == [names[step % 2] for step in range(n_steps)]


def require_diagrams(dataset: Dataset, row: int, seed: int) -> None:
    if seed == 3:
        with pytest.raises(PanicError, match="too few points"):
            dataset.diagrams(row, "Sense")
        return
    key = dataset.runs()["key"][row]
    run = next(run for run in Experiment(Path()).runs if run.key == key)
    dgms = dataset.diagrams(row, "Sight")
    assert len(dgms) == synthetic.DIMENSIONS
    for dimension, dgm in enumerate(dgms):
        assert np.array_equal(dgm, synthetic.bars(run, dimension))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_dataset_holds_what_the_shards_held(tmp_path: Path, layout: list[int]) -> None:
    experiment = Experiment(tmp_path)
    synthetic.merged(tmp_path / "d.h5", (experiment, synthetic.write(experiment, layout, [7, 5])))
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        require_everything(dataset, experiment)
        dataset.file.check_all()


def test_content_key_does_not_depend_on_layout_times_or_checking(tmp_path: Path) -> None:
    keys = set()
    for number, layout in enumerate(LAYOUTS):
        experiment = Experiment(tmp_path / str(number))
        inputs = synthetic.write(experiment, layout, [7, 5] if number % 2 else None)
        check = number != 3
        made = synthetic.merged(tmp_path / f"{number}.h5", (experiment, inputs), check=check)
        keys.add(made.content_key)
    assert len(keys) == 1
    twisted = Experiment(tmp_path / "twisted", twist="!")
    inputs = synthetic.write(twisted, [12])
    assert synthetic.merged(tmp_path / "t.h5", (twisted, inputs)).content_key not in keys


def test_merging_again_changes_nothing_until_a_shard_is_new(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    inputs = synthetic.write(experiment, [6, 6])
    target = tmp_path / "d.h5"
    some = [one for one in inputs if one.shard.model != "Sight"]
    assert synthetic.merged(target, (experiment, some)).is_new
    before = target.stat().st_ino
    assert not synthetic.merged(target, (experiment, some)).is_new
    assert target.stat().st_ino == before
    assert synthetic.merged(target, (experiment, inputs)).is_new
    with panic_hpc.open(target) as dataset:
        require_everything(dataset, experiment)


def test_missing_shards_leave_runs_without_embeddings(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    inputs = synthetic.write(experiment, [6, 6], [4, 4, 4])
    gone = [one for one in inputs if one.shard.stage == "embeddings" and one.shard.index == 1]
    gone += [one for one in inputs if one.shard.stage == "diagrams" and one.shard.index == 2]
    there = [one for one in inputs if one not in gone]
    absent = {"experiment": 0, "stage": "embeddings", "index": 1, "model": SENSE.name}
    missing = [{**absent, "first_run": 4, "n_runs": 4}]
    synthetic.merged(tmp_path / "d.h5", (experiment, there), missing=missing)
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        assert dataset.metadata["missing"] == missing
        for row, run in enumerate(experiment.runs):
            steps, _ = dataset.embeddings(row, SENSE.name)
            expected = synthetic.embedding_steps(experiment, run, SENSE)
            assert steps.tolist() == ([] if 4 <= row < 8 else expected)
            assert len(dataset.embeddings(row, SIGHT.name)[0])
            if row >= 8:
                with pytest.raises(PanicError, match="its shard is missing"):
                    dataset.diagrams(row, SENSE.name)
                assert np.isnan(dataset.entropy(row, SENSE.name)).all()
            elif run.seed != 3:
                assert len(dataset.diagrams(row, SENSE.name)) == synthetic.DIMENSIONS


def test_experiments_that_share_runs_become_one_dataset(tmp_path: Path) -> None:
    first = Experiment(tmp_path / "first", seeds=(1, 2))
    second = Experiment(
        tmp_path / "second",
        networks=((synthetic.PAINTER, synthetic.OTHER_TELLER),),
        prompts=(Prompt("nobody"), Prompt("the moon ☾"), Prompt("a red apple")),
        seeds=(2, 3),
        embedding_models=(SIGHT,),
    )
    pairs = [
        (first, synthetic.write(first, [8], [3, 5])),
        (second, synthetic.write(second, [4, 2], [6])),
    ]
    synthetic.merged(tmp_path / "all.h5", *pairs)
    with panic_hpc.open(tmp_path / "all.h5") as dataset:
        own = [run.key for run in first.runs]
        new = [run.key for run in second.runs if run.key not in own]
        assert dataset.runs()["key"].to_list() == own + new
        assert len(new) == 4
        assert len(dataset.networks()) == 2
        assert set(dataset.prompts()["text"]) == {"a red apple", "the moon ☾", "nobody"}
        assert dataset.runs(experiment="second")["key"].to_list() == new
        members = dataset.members()
        assert members.filter(experiment=1)["index"].to_list() == list(range(6))
        for run in second.runs:
            n_steps = synthetic.steps_of(second, run)
            assert list(dataset.texts(run.key)) == list(range(1, n_steps, 2))
            frame = dataset.runs(network="Painter → OtherTeller")
            assert run.key in frame["key"].to_list()
            text = dataset.prompts()["text"][dataset.runs()["prompt"][dataset.row(run.key)]]
            assert text == second.prompts[run.prompt].text
            assert len(dataset.embeddings(run.key, "Sight")[0]) == (n_steps + 1) // 2
        for row in range(8, 12):
            assert len(dataset.embeddings(row, "Sense")[0]) == 0


def test_merging_experiments_is_the_same_in_any_order(tmp_path: Path) -> None:
    first, second = Experiment(tmp_path / "1", seeds=(1, 2)), Experiment(tmp_path / "2", seeds=(2,))
    one, two = (first, synthetic.write(first, [8])), (second, synthetic.write(second, [4]))
    there = synthetic.merged(tmp_path / "12.h5", one, two)
    back = synthetic.merged(tmp_path / "21.h5", two, one)
    alone = synthetic.merged(tmp_path / "1.h5", one)
    assert there.content_key == back.content_key == alone.content_key
    assert there.n_runs == back.n_runs == 8


def test_equal_keys_with_different_content_are_a_conflict(tmp_path: Path) -> None:
    first, second = Experiment(tmp_path / "1"), Experiment(tmp_path / "2", twist="!")
    one = (first, synthetic.write(first, [12], numerics="a Xeon"))
    two = (second, synthetic.write(second, [12], numerics="an EPYC"))
    with pytest.raises(ConflictError, match=r"(?s)1/runs.*Xeon.*2/runs.*EPYC"):
        synthetic.merged(tmp_path / "d.h5", one, two)
    assert not (tmp_path / "d.h5").exists()


def test_a_conflict_found_late_leaves_the_previous_dataset(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "1")
    inputs = synthetic.write(experiment, [6, 6])
    target = tmp_path / "d.h5"
    synthetic.merged(target, (experiment, inputs[:2]))
    before = target.read_bytes()
    for one in inputs[2:4]:
        damage(one.path, "embeddings/vector")
    with pytest.raises(ShardError, match=r"embeddings_0000.*damaged.*embeddings/vector"):
        synthetic.merged(target, (experiment, inputs))
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "d.h5", "d.h5.digest"]


def make_incomplete(path: Path) -> None:
    """Say of all diagrams of a shard that time or memory stopped them."""
    with open_shard(path) as file:
        arrays = {name: file.array(name) for name in file.entries if name != DIGEST.name}
        header = file.shard_header
    arrays["runs/status"][:] = DIAGRAM_STATUS[INCOMPLETE]
    path.unlink()
    publish_shard(path, header, arrays)


@pytest.mark.parametrize("incomplete", [0, 1])
def test_a_complete_diagram_is_taken_before_an_incomplete_one(
    tmp_path: Path, incomplete: int
) -> None:
    experiments = Experiment(tmp_path / "1"), Experiment(tmp_path / "2")
    inputs = [synthetic.write(one, [12]) for one in experiments]
    whole = synthetic.merged(tmp_path / "whole.h5", (experiments[0], inputs[0]))
    for one in inputs[incomplete]:
        if one.shard.stage == "diagrams":
            make_incomplete(one.path)
    both = synthetic.merged(tmp_path / "both.h5", *zip(experiments, inputs, strict=True))
    assert both.n_incomplete == whole.n_incomplete == 0
    assert both.content_key == whole.content_key
    alone = (experiments[incomplete], inputs[incomplete])
    assert synthetic.merged(tmp_path / "alone.h5", alone).n_incomplete > 0


def damage(path: Path, name: str, part: float = 0.5) -> None:
    """Flip one bit of an array, so far into it."""
    with open_shard(path, check=False) as file:
        entry = file.entry(name)
    content = bytearray(path.read_bytes())
    content[entry.offset + int(part * entry.nbytes)] ^= 8
    path.unlink()
    path.write_bytes(content)


def test_a_flipped_bit_in_an_incomplete_diagram_is_found(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "1")
    inputs = synthetic.write(experiment, [12])
    [shard] = [one for one in inputs if one.shard.stage == "diagrams"][:1]
    make_incomplete(shard.path)
    damage(shard.path, "diagrams/bars")
    with pytest.raises(ShardError, match="wrong bytes in diagrams/bars"):
        synthetic.merged(tmp_path / "d.h5", (experiment, inputs))


@pytest.mark.parametrize("name", sorted(kind_of("runs").required))
def test_no_flipped_bit_of_a_shard_gets_into_a_dataset(tmp_path: Path, name: str) -> None:
    experiment = Experiment(tmp_path / "1")
    inputs = synthetic.write(experiment, [12])
    damage(inputs[0].path, name)
    with pytest.raises(ShardError, match=name):
        synthetic.merged(tmp_path / "d.h5", (experiment, inputs))
    assert not (tmp_path / "d.h5").exists()


@pytest.mark.parametrize("name", ["images/values", "invocations/started"])
def test_a_flipped_bit_in_a_shard_that_is_taken_in_part_is_found(tmp_path: Path, name: str) -> None:
    first, second = Experiment(tmp_path / "1", seeds=(1,)), Experiment(tmp_path / "2", seeds=(1, 2))
    one, two = (first, synthetic.write(first, [4])), (second, synthetic.write(second, [8]))
    damage(two[1][0].path, name, part=0.99)
    with pytest.raises(ShardError, match=name):
        synthetic.merged(tmp_path / "d.h5", one, two)


@pytest.mark.parametrize("stage", ["runs", "embeddings", "diagrams"])
def test_bytes_without_their_digest_are_found_though_checksums_agree(
    tmp_path: Path, stage: str
) -> None:
    experiment = Experiment(tmp_path / "1")
    inputs = synthetic.write(experiment, [6, 6])
    (path, *_) = [one.path for one in inputs if one.shard.stage == stage and one.shard.index == 1]
    forge.overwrite(path, "runs/digest", lambda digests: np.roll(digests, 1))
    open_shard(path).close()
    with pytest.raises(ShardError, match=f"{stage}_00001.*does not have its digest"):
        synthetic.merged(tmp_path / "d.h5", (experiment, inputs))
    assert not (tmp_path / "d.h5").exists()
