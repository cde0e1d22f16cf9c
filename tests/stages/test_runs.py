import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import Planned, planned, stage_named
from killing import kill_until_done

from panic_hpc import keys
from panic_hpc.errors import ConflictError, Interrupted, ModelError, NumericsError
from panic_hpc.models.base import Output, Turn
from panic_hpc.models.loading import load
from panic_hpc.stages.calls import ItemFailure
from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.stages.codecs.text import TextCodec
from panic_hpc.stages.outputs import Outputs
from panic_hpc.stages.runs.lockstep import position_of
from panic_hpc.store.format.column import MODALITIES
from panic_hpc.store.format.ragged import unpack_texts
from panic_hpc.store.format.shard import ShardFile, open_shard
from panic_hpc.store.results.runs import ENDED, NOT_KEPT, OUTPUT_EMPTY
from panic_hpc.types import IMAGE, RUNS, TEXT, ModelSpec

FOUR = [["DummyT2I", "DummyI2T", "DummyT2I2", "DummyI2T2"]]


def only_shard(experiment: Planned) -> ShardFile:
    shards = stage_named(RUNS).shards(experiment.manifest)
    assert len(shards) == 1
    return open_shard(experiment.paths.shard(shards[0]))


def texts(shard: ShardFile, position: int) -> list[str]:
    return [item.content.decode() for item in Outputs(shard, TEXT).of_run(position)]


def flags(shard: ShardFile, modality: str) -> np.ndarray:
    of_modality = shard.array("invocations/modality") == MODALITIES[modality]
    return shard.array("invocations/flags")[of_modality]


def bare_loop(experiment: Planned, position: int) -> tuple[list[str], str, int, int]:
    """Follow one run alone, without batches, files or checkpoints; (texts, end, loop)."""
    manifest = experiment.manifest
    run = manifest.run(position)
    network = manifest.networks[run.network]
    models = [load(spec, "cpu") for spec in network.models]
    value: Any = manifest.prompts[run.prompt].text
    seen: dict[tuple[bytes, int], int] = {}
    written = []
    for step in range(network.max_length):
        seed = run.seed if run.noise == "fixed" else keys.step_seed(run.seed, step)
        place = step % len(models)
        size = models[place].spec.batch_size
        value = models[place].generate([value] * size, [seed] * size)[0].value
        if isinstance(value, str):
            written.append(value)
        state = (value.encode() if isinstance(value, str) else value.tobytes(), place)
        if run.noise == "fixed" and state in seen:
            return written, "loop", seen[state], step - seen[state]
        seen[state] = step
    return written, "length", -1, 0


@pytest.mark.parametrize("noise", ["fixed", "per_step"])
@pytest.mark.parametrize("networks", [[["DummyT2I", "DummyI2T"]], FOUR])
def test_runs_are_those_of_a_bare_loop(tmp_path: Path, noise: str, networks: list[Any]) -> None:
    experiment = planned(tmp_path, noise=noise, networks=networks, max_length=40)
    experiment.work(RUNS)
    with only_shard(experiment) as shard:
        for position in range(experiment.manifest.n_runs):
            written, end, start, length = bare_loop(experiment, position)
            assert texts(shard, position) == written
            assert shard.array("runs/ended")[position] == ENDED[end]
            assert shard.array("runs/loop_start")[position] == start
            assert shard.array("runs/loop_length")[position] == length


def test_a_bare_loop_through_a_lossy_codec_is_what_a_lossy_experiment_runs(tmp_path: Path) -> None:
    lossy = planned(tmp_path / "lossy", images={"codec": "avif-40"}, max_length=20)
    lossy.work(RUNS)
    codec = ImageCodec()
    painter, namer = (load(spec, "cpu") for spec in lossy.manifest.networks[0].models)
    with only_shard(lossy) as shard:
        assert shard.header["numerics"]["codecs"]["image"]["libavif"]
        captions = texts(shard, 0)
        pictures = [item.content for item in Outputs(shard, IMAGE).of_run(0)]
    assert len(captions) > 1
    run, prompt = lossy.manifest.run(0), lossy.manifest.prompts[0].text
    for text, content, caption in zip([prompt, *captions], pictures, captions, strict=False):
        sizes = [model.spec.batch_size for model in (painter, namer)]
        drawn = painter.generate([text] * sizes[0], [run.seed] * sizes[0])[0].value
        assert codec.encode(drawn, "avif-40") == content
        read = codec.decode(content)
        assert not np.array_equal(read, drawn)
        said = namer.generate([read] * sizes[1], [run.seed] * sizes[1])[0].value
        assert said == caption


def test_fixed_noise_ends_in_loops_and_noise_per_step_does_not(tmp_path: Path) -> None:
    fixed = planned(tmp_path / "fixed", max_length=60)
    per_step = planned(tmp_path / "per_step", max_length=60, noise="per_step")
    for experiment in (fixed, per_step):
        experiment.work(RUNS)
    with only_shard(fixed) as shard:
        assert set(shard.array("runs/ended")) == {ENDED["loop"]}
        assert (shard.array("runs/n_steps") < 60).all()
    with only_shard(per_step) as shard:
        assert set(shard.array("runs/n_steps")) == {60}
        assert set(shard.array("runs/loop_length")) == {0}


def test_without_loop_stop_a_loop_is_noted_and_the_run_goes_on(tmp_path: Path) -> None:
    experiment = planned(tmp_path, max_length=60, loop_stop=False)
    experiment.work(RUNS)
    with only_shard(experiment) as shard:
        assert set(shard.array("runs/n_steps")) == {60}
        assert set(shard.array("runs/ended")) == {ENDED["length"]}
        assert (shard.array("runs/loop_length") > 0).all()


def test_a_second_time_does_nothing(tmp_path: Path) -> None:
    experiment = planned(tmp_path)
    experiment.work(RUNS)
    paths = [experiment.paths.shard(s) for s in stage_named(RUNS).shards(experiment.manifest)]
    before = [path.stat() for path in paths]
    experiment.work(RUNS)
    assert [path.stat() for path in paths] == before
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("runs_per_shard", [1, 4, 8])
def test_the_shard_layout_does_not_matter(tmp_path: Path, runs_per_shard: int) -> None:
    whole, cut = planned(tmp_path / "whole"), planned(tmp_path / "cut", runs_per_shard)
    assert len(cut.manifest.run_shards) > len(whole.manifest.run_shards)
    whole.work(RUNS)
    cut.work(RUNS)
    assert whole.digests(RUNS) == cut.digests(RUNS)


def test_batches_of_several_sizes_do_not_mix_runs_up(tmp_path: Path) -> None:
    models = {"DummyT2I": {"batch_size": 3}, "DummyI2T": {"batch_size": 2}}
    experiment = planned(tmp_path, runs_per_shard=6, models=models, max_length=20)
    assert [shard.n_runs for shard in experiment.manifest.run_shards] == [6, 3]
    experiment.work(RUNS)
    shards = stage_named(RUNS).shards(experiment.manifest)
    for description in shards:
        with open_shard(experiment.paths.shard(description)) as shard:
            for position in range(description.n_runs):
                expected = bare_loop(experiment, description.first_run + position)[0]
                assert texts(shard, position) == expected


class TestKeepEvery:
    @pytest.mark.parametrize("keep_every", [0, 1, 2, 3])
    def test_every_so_many_images_are_kept_and_all_texts(
        self, tmp_path: Path, keep_every: int
    ) -> None:
        images = {"keep_every": keep_every}
        experiment = planned(
            tmp_path, images=images, noise="per_step", max_length=20, embedding_models=["DummyText"]
        )
        experiment.work(RUNS)
        with only_shard(experiment) as shard:
            kept = [item.step for item in Outputs(shard, IMAGE).of_run(0)]
            assert kept == (list(range(0, 20, 2 * keep_every)) if keep_every else [])
            assert len(texts(shard, 0)) == 10
            lacking = flags(shard, IMAGE) & NOT_KEPT
            assert np.count_nonzero(lacking == 0) == 9 * len(kept)
            assert not flags(shard, TEXT).any()

    def test_texts_are_the_same_whatever_is_kept(self, tmp_path: Path) -> None:
        found = []
        for keep_every in (0, 1):
            root = tmp_path / str(keep_every)
            images = {"keep_every": keep_every}
            changes: dict[str, Any] = {"noise": "per_step", "embedding_models": ["DummyText"]}
            experiment = planned(root, images=images, **changes)
            experiment.work(RUNS)
            with only_shard(experiment) as shard:
                found.append([texts(shard, position) for position in range(9)])
        assert found[0] == found[1]


class StopAfter:
    """Asks to stop once it was asked so often."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, margin_s: float) -> str:
        self.calls -= 1
        return "" if self.calls >= 0 else "the walltime ends"


class TestInterruption:
    @pytest.mark.parametrize(
        ("keep_every", "codec"), [(0, "png"), (1, "png"), (2, "png"), (1, "avif-40")]
    )
    def test_stopping_at_every_call_changes_nothing(
        self, tmp_path: Path, keep_every: int, codec: str
    ) -> None:
        changes: dict[str, Any] = {
            "images": {"keep_every": keep_every, "codec": codec},
            "models": {"DummyT2I": {"batch_size": 2}},
            "embedding_models": ["DummyText"],
        }
        whole = planned(tmp_path / "whole", **changes)
        whole.work(RUNS)
        stopped = planned(tmp_path / "stopped", **changes)
        stops = 0
        while not stopped.paths.shard(stage_named(RUNS).shards(stopped.manifest)[0]).exists():
            with suppress(Interrupted):
                stopped.work(RUNS, should_stop=StopAfter(6))
            stops += 1
        assert stops > 4
        assert stopped.digests(RUNS) == whole.digests(RUNS)

    def test_what_is_done_is_reported_and_grows(self, tmp_path: Path) -> None:
        experiment = planned(tmp_path)
        seen: list[tuple[int, int]] = []
        with pytest.raises(Interrupted, match="the walltime ends"):
            experiment.work(
                RUNS,
                should_stop=StopAfter(8),
                report=lambda done, total: seen.append((done, total)),
            )
        first = seen[-1]
        assert 0 < first[0] < first[1]
        experiment.work(RUNS, report=lambda done, total: seen.append((done, total)))
        assert seen[-1][0] == seen[-1][1] == 9 * 12
        assert seen == sorted(seen)

    def test_the_margin_is_the_slowest_call_so_far(self, tmp_path: Path) -> None:
        experiment = planned(tmp_path, models={"DummyI2T": {"delay_s": 0.05}}, max_length=4)
        margins: list[float] = []

        def should_stop(margin_s: float) -> str:
            margins.append(margin_s)
            return ""

        experiment.work(RUNS, should_stop=should_stop, checkpoint_s=0.0)
        assert margins[0] == 0.0
        assert margins == sorted(margins)
        assert margins[-1] > 0.05

    def test_another_numerics_class_is_refused_or_recorded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = planned(tmp_path)
        with pytest.raises(Interrupted):
            experiment.work(RUNS, should_stop=StopAfter(5))
        monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
        with pytest.raises(NumericsError, match="MKL_CBWR"):
            experiment.work(RUNS)
        experiment.work(RUNS, allow_other_numerics=True)
        with only_shard(experiment) as shard:
            first, second = shard.header["numerics"]["classes"]
        assert "MKL_CBWR" not in first["switches"]
        assert second["switches"]["MKL_CBWR"] == "COMPATIBLE"


@pytest.mark.parametrize("keep_every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_a_kill_at_any_moment_changes_nothing(tmp_path: Path, keep_every: int) -> None:
    changes: dict[str, Any] = {
        "images": {"keep_every": keep_every},
        "embedding_models": ["DummyText"],
        "max_length": 30,
        "noise": "per_step",
    }
    whole, killed = planned(tmp_path / "whole", **changes), planned(tmp_path / "killed", **changes)
    whole.work(RUNS)
    kills = kill_until_done(killed, RUNS, keep_every, (4_000, 20_000))
    assert kills >= 2
    assert killed.digests(RUNS) == whole.digests(RUNS)


@pytest.mark.parametrize("noise", ["fixed", "per_step"])
def test_a_picture_stored_otherwise_than_read_is_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: str
) -> None:
    whole, troubled = (planned(tmp_path / name, noise=noise) for name in ("whole", "troubled"))
    whole.work(RUNS)
    honest, calls = ImageCodec.encode, iter(range(1000))

    def encode(self: ImageCodec, value: np.ndarray, option: str) -> bytes:
        return honest(self, 255 - value if next(calls) == 20 else value, option)

    with monkeypatch.context() as patch:
        patch.setattr(ImageCodec, "encode", encode)
        with pytest.raises(ConflictError, match="is not what the next model read"):
            troubled.work(RUNS)
    [shard] = stage_named(RUNS).shards(troubled.manifest)
    assert not troubled.paths.shard(shard).exists()
    assert troubled.paths.checkpoint(shard).exists()
    troubled.work(RUNS)
    assert troubled.digests(RUNS) == whole.digests(RUNS)


class TestTrouble:
    def test_a_bad_item_fails_alone(self, tmp_path: Path, spelling: None) -> None:
        changes: dict[str, Any] = {
            "networks": [["Painter", "Namer"]],
            "prompts": ["abcdefgh", "xxxx poison", "stuvwxyz"],
            "embedding_models": ["Lengths"],
            "noise": "per_step",
            "max_length": 12,
        }
        troubled = planned(tmp_path / "a", models={"Painter": {"trouble": "poiso"}}, **changes)
        clean = planned(tmp_path / "b", **changes)
        troubled.work(RUNS)
        clean.work(RUNS)
        with only_shard(troubled) as shard, only_shard(clean) as expected:
            ended = shard.array("runs/ended").tolist()
            assert ended == [ENDED[e] for e in ["length"] * 3 + ["failed"] * 3 + ["length"] * 3]
            assert shard.array("failures/run").tolist() == [3, 4, 5]
            assert set(shard.array("failures/step")) == {0}
            [*reasons] = unpack_texts(
                shard.array("failures/offsets"), shard.array("failures/values")
            )
            assert all(reason.startswith("RuntimeError: cannot paint") for reason in reasons)
            for position in (0, 1, 2, 6, 7, 8):
                assert texts(shard, position) == texts(expected, position)

    def test_a_failure_survives_an_interruption(self, tmp_path: Path, spelling: None) -> None:
        experiment = planned(
            tmp_path,
            networks=[["Painter", "Namer"]],
            prompts=["abcdefgh", "xxxx poison"],
            embedding_models=["Lengths"],
            models={"Painter": {"trouble": "poison"}},
        )
        with pytest.raises(Interrupted):
            experiment.work(RUNS, should_stop=StopAfter(3))
        experiment.work(RUNS)
        with only_shard(experiment) as shard:
            assert shard.array("failures/run").tolist() == [3, 4, 5]

    def test_empty_captions_are_flagged_and_passed_on(self, tmp_path: Path, spelling: None) -> None:
        experiment = planned(
            tmp_path,
            networks=[["Painter", "Namer"]],
            prompts=["ab"],
            embedding_models=["Lengths"],
            seeds=[1],
            noise="per_step",
            max_length=8,
        )
        experiment.work(RUNS)
        with only_shard(experiment) as shard:
            assert texts(shard, 0) == ["a", "", "", ""]
            is_empty = flags(shard, TEXT) & OUTPUT_EMPTY
            assert (is_empty > 0).tolist() == [False, True, True, True]
            assert set(shard.array("runs/ended")) == {ENDED["length"]}

    def test_a_model_that_cannot_be_loaded_is_named(self, tmp_path: Path, spelling: None) -> None:
        experiment = planned(
            tmp_path,
            networks=[["Painter", "Namer"]],
            embedding_models=["Lengths"],
            models={"Painter": {"trouble": "unloadable"}},
        )
        with pytest.raises(ModelError, match=r"Painter cannot be loaded onto cpu .*no such file"):
            experiment.work(RUNS)

    def test_a_foreign_journal_is_refused(self, tmp_path: Path) -> None:
        mine, other = planned(tmp_path / "mine"), planned(tmp_path / "other", max_length=14)
        for experiment in (mine, other):
            with pytest.raises(Interrupted):
                experiment.work(RUNS, should_stop=StopAfter(4))
        [shard] = stage_named(RUNS).shards(mine.manifest)
        shutil.copy(other.paths.checkpoint(shard), mine.paths.checkpoint(shard))
        from panic_hpc.errors import ShardError

        with pytest.raises(ShardError, match="belongs to another shard"):
            mine.work(RUNS)


class Spoiling:
    """A painter that draws some pictures of NaN, which are no pictures."""

    spec = ModelSpec("Spoiling", "made-up", "text", "image", "", "", "", 3, {})

    def load(self, device: str) -> None:
        """Do nothing."""

    def generate(self, inputs: Sequence[Any], seeds: Sequence[int]) -> list[Output]:
        """Return grey pictures, and problems for the text "nan"."""
        grey = np.full((16, 16, 3), 90, np.uint8)
        return [Output(grey, problem="not finite" if text == "nan" else "") for text in inputs]


def test_a_degenerate_output_is_the_failure_of_its_item_alone() -> None:
    place = position_of(Spoiling(), ImageCodec(), TextCodec())
    turn = Turn(0, "a prompt", {})
    answers = place.caller({0: ("a", 1, turn), 1: ("nan", 2, turn), 2: ("b", 3, turn)})
    assert answers[1] == ItemFailure("ValueError: not finite")
    assert isinstance(answers[0], Output)
    assert isinstance(answers[2], Output)
