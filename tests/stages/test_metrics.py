"""The metrics stage: which outputs are judged against what, and what becomes of those that fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from experiments import Planned, planned, stage_named
from plugins import plugin_file

import panic_hpc
from panic_hpc.errors import ConfigError, Interrupted, PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.split import split
from panic_hpc.models.families.pixels import ssim
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.stages.metrics.pairs import pairs_of
from panic_hpc.stages.outputs import PROMPT_STEP
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.exports.parquet import export_parquet
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.types import RUNS

FUSSY_FAMILY = """
from panic_hpc.models.base import Score
from panic_hpc.models.metric_settings import MetricSettings
from panic_hpc.models.settings import settings_of
from panic_hpc.types import SCORE, TEXT, ModelEntry


class Settings(MetricSettings):
    batch_size: int = 4
    refused: str = ""
    blank: str = ""


class Fussy:
    components = ("length", "spaces")

    def __init__(self, spec):
        self.spec = spec
        self.settings = settings_of(spec, Settings)

    def load(self, device):
        pass

    def score(self, items):
        return [self.of(item.output) for item in items]

    def of(self, text):
        if self.settings.refused and self.settings.refused in text:
            raise RuntimeError(f"will not read {text}")
        if self.settings.blank and self.settings.blank in text:
            return Score((float("nan"), text.count(" ")), problem="nothing to measure")
        return Score((len(text), text.count(" ")))


class Family:
    name = "fussy"
    settings = Settings
    entries = (ModelEntry("Fussy", TEXT, SCORE),)

    def build(self, spec):
        return Fussy(spec)

    def modalities(self, settings):
        return TEXT, SCORE

    def compared(self, settings):
        return "" if settings.against == "none" else TEXT


PLUGINS = (Family(),)
"""


@pytest.fixture(autouse=True)
def fussy(tmp_path: Path) -> Iterator[None]:
    with plugin_file("panic_hpc.models.families", tmp_path / "plugins", "fussy", FUSSY_FAMILY):
        yield


def scored(root: Path, metrics: list[str], **changes: Any) -> Planned:
    """Plan and score a small experiment."""
    experiment = planned_with(root, metrics, **changes)
    experiment.work(RUNS, METRICS)
    return experiment


def planned_with(root: Path, metrics: list[str], **changes: Any) -> Planned:
    changes = {"stages": {METRICS: {"models": metrics}}, "embedding_models": [], **changes}
    return planned(root, **changes)


def merged(experiment: Planned) -> Path:
    target = experiment.paths.dataset
    merge([experiment.paths.root], target, MergeOptions())
    return target


@pytest.mark.parametrize(
    ("against", "pairs"),
    [
        ("none", [(1, None), (3, None), (5, None)]),
        ("prompt", [(1, PROMPT_STEP), (3, PROMPT_STEP), (5, PROMPT_STEP)]),
        ("input", [(1, 0), (5, 4)]),
        ("previous", [(3, 1), (5, 3)]),
        ("first", [(3, 1), (5, 1)]),
    ],
)
def test_a_pair_is_made_where_both_sides_are_there(against: str, pairs: list[Any]) -> None:
    """Step 2 was not made: what is judged against its input has no row there, and none shifts."""
    assert pairs_of(against, [1, 3, 5], [PROMPT_STEP, 0, 4]) == pairs
    assert pairs_of(against, [], [PROMPT_STEP]) == []


def test_numbers_stand_beside_the_step_they_are_of(tmp_path: Path) -> None:
    against = {"base": "SSIM", "against": ["previous", "first"]}
    experiment = scored(tmp_path / "E", ["likeness"], models={"likeness": against}, loop_stop=False)
    with panic_hpc.open(merged(experiment)) as dataset:
        for cell in ("previous", "first"):
            scores = dataset.scores(f"likeness.against-{cell}")
            for run in range(dataset.n_runs):
                steps = dataset.image_steps(run)
                own = scores.filter(pl.col("run") == run)
                assert own["step"].to_list() == steps[1:]
                others = steps[:-1] if cell == "previous" else steps[:1] * (len(steps) - 1)
                wanted = [
                    ssim(dataset.image(run, step), dataset.image(run, other))
                    for step, other in zip(steps[1:], others, strict=True)
                ]
                assert own["ssim"].to_list() == wanted
                assert not own["failed"].any()


def test_a_failed_item_moves_no_other_score(tmp_path: Path) -> None:
    sound = scored(tmp_path / "sound", ["Fussy"])
    with panic_hpc.open(merged(sound)) as dataset:
        before, texts = dataset.scores("Fussy"), dataset.texts(0)
    word = texts[max(texts)].split()[-1]
    tables = {"Fussy": {"refused": word}}
    failing = scored(tmp_path / "failing", ["Fussy"], models=tables)
    with panic_hpc.open(merged(failing)) as dataset:
        after = dataset.scores("Fussy")
    assert after.select("run", "step").equals(before.select("run", "step"))
    failed = after["failed"].to_numpy()
    assert 0 < failed.sum() < len(failed)
    assert after.filter(failed)["length"].is_nan().all()
    assert after.filter(failed)["reason"].str.starts_with("RuntimeError: will not read").all()
    assert after.filter(~failed).equals(before.filter(~failed))
    assert verify_file(failing.paths.dataset).findings == ()


def test_components_of_a_failed_item_that_are_known_stand(tmp_path: Path) -> None:
    experiment = scored(tmp_path / "E", ["Fussy"], models={"Fussy": {"blank": "noon"}})
    with panic_hpc.open(merged(experiment)) as dataset:
        failed = dataset.scores("Fussy").filter(pl.col("failed"))
    assert len(failed) > 0
    assert failed["length"].is_nan().all()
    assert not failed["spaces"].is_nan().any()
    assert set(failed["reason"]) == {"nothing to measure"}


@pytest.mark.parametrize("runs_per_shard", [1, 4])
def test_scores_are_the_same_however_runs_are_cut_into_shards(
    tmp_path: Path, runs_per_shard: int
) -> None:
    whole = scored(tmp_path / "whole", ["Fussy", "SSIM"])
    cut = scored(tmp_path / "cut", ["Fussy", "SSIM"], runs_per_shard=runs_per_shard)
    assert len(whole.digests(METRICS)) == 18
    assert whole.digests(METRICS) == cut.digests(METRICS)
    with panic_hpc.open(merged(whole)) as one, panic_hpc.open(merged(cut)) as other:
        assert one.content_key == other.content_key
        assert one.scores("Fussy").equals(other.scores("Fussy"))


def test_an_interrupted_shard_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole, stopped = scored(tmp_path / "a", ["Fussy"]), planned_with(tmp_path / "b", ["Fussy"])
    stopped.work(RUNS)
    asked = 0

    def should_stop(margin_s: float) -> str:
        nonlocal asked
        asked += 1
        return "enough" if asked % 4 == 0 else ""

    stage, (shard,) = stage_named(METRICS), stage_named(METRICS).shards(stopped.manifest)
    for _ in range(2):
        with pytest.raises(Interrupted, match="metrics stopped: enough"):
            stage.execute(stopped.context(should_stop=should_stop), shard)
    stage.execute(stopped.context(should_stop=should_stop), shard)
    assert not stopped.paths.checkpoint(shard).exists()
    assert stopped.digests(METRICS) == whole.digests(METRICS)


def test_metrics_are_no_embedding_models(tmp_path: Path) -> None:
    experiment = planned_with(tmp_path / "E", ["Fussy"], embedding_models=["DummyText"])
    experiment.work(RUNS, "embeddings", METRICS, "diagrams")
    with panic_hpc.open(merged(experiment)) as dataset:
        assert dataset.embedding_models == ("DummyText",)
        assert dataset.models_of(METRICS) == ["Fussy"]
        with pytest.raises(PanicError, match="no scores of metric 'Fusy'") as caught:
            dataset.scores("Fusy")
    assert "Fussy" in caught.value.hint


def test_runs_keep_their_keys_whatever_judges_them(tmp_path: Path) -> None:
    plain, judged = planned(tmp_path / "plain"), planned_with(tmp_path / "judged", ["Fussy"])
    assert [run.key for run in plain.manifest.runs()] == [r.key for r in judged.manifest.runs()]
    assert plain.manifest.key != judged.manifest.key


def test_tables_for_others_name_components(tmp_path: Path) -> None:
    experiment = scored(
        tmp_path / "E", ["Fussy", "Luminance"], models={"Fussy": {"refused": "noon"}}
    )
    with panic_hpc.open(merged(experiment)) as dataset:
        export_parquet(dataset, tmp_path / "tables")
        table = pl.read_parquet(tmp_path / "tables" / "metrics.parquet")
        for metric, names in (("Fussy", ["length", "spaces"]), ("Luminance", ["mean"])):
            own, scores = table.filter(pl.col("model") == metric), dataset.scores(metric)
            for name in ("run", "step", "reason", *names):
                assert own[name].to_list() == pytest.approx(scores[name].to_list(), nan_ok=True)
        assert table.filter(pl.col("model") == "Luminance")["length"].null_count() > 0


def test_parts_of_a_dataset_have_their_scores(tmp_path: Path) -> None:
    experiment = scored(tmp_path / "E", ["Fussy"])
    path = merged(experiment)
    parts = list(split(path, tmp_path / "parts", path.stat().st_size + 10_000))
    assert len(parts) > 1
    with panic_hpc.open(path) as dataset:
        whole = dataset.scores("Fussy")["length"].to_list()
    found = []
    for part in parts:
        assert verify_file(part).findings == ()
        with panic_hpc.open(part) as dataset:
            found += dataset.scores("Fussy")["length"].to_list()
    assert found == whole


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"metrics": ["DummyT2I"]},
            "metrics[0] = 'DummyT2I': turns text into image; it is no metric",
        ),
        (
            {"metrics": ["Fusy"]},
            "metrics[0] = 'Fusy': no such model. Did you mean 'Fussy'?",
        ),
        (
            {"metrics": ["SSIM"], "models": {"SSIM": {"against": "role:Maks"}}},
            "metrics[0] = 'SSIM': against = \"role:Maks\": no such role; the prompts of this "
            "experiment are texts without pictures",
        ),
        (
            {"metrics": ["SSIM"], "models": {"SSIM": {"against": "prompt"}}},
            "metrics[0] = 'SSIM': against = \"prompt\": it judges against image, and that is text",
        ),
        (
            {"metrics": ["SSIM"], "images": {"keep_every": 2}},
            "metrics[0] = 'SSIM': images.keep_every = 2: it needs every picture, so keep every one",
        ),
        (
            {"metrics": ["Fussy"], "max_length": 1},
            "metrics[0] = 'Fussy': nothing to score; it takes text, the runs make image",
        ),
        (
            {"metrics": ["Fussy", "Twin"], "models": {"Twin": {"base": "Fussy"}}},
            "metrics[1] = 'Twin': the same metric as 'Fussy'; remove one",
        ),
        (
            {"metrics": [], "networks": [["SSIM"]]},
            "networks[0][0] = 'SSIM': a metric, which makes nothing that a model could read",
        ),
        (
            {"metrics": ["SSIM"], "models": {"SSIM": {"against": "none"}}},
            "models.SSIM = {'score': 'ssim', 'against': 'none'}: ssim compares two pictures",
        ),
    ],
)
def test_a_metric_that_cannot_judge_is_told_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned_with(tmp_path / "E", **changes)
    assert any(line.startswith(problem) for line in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    "written", ['metrics = ["Fussy"]\n', '[stages.metrics]\nmodels = ["Fussy"]\n']
)
def test_metrics_may_be_named_in_one_line_or_in_a_table(tmp_path: Path, written: str) -> None:
    file = tmp_path / "little.toml"
    head = 'networks = [["DummyT2I", "DummyI2T"]]\nprompts = ["a moon"]\nmax_length = 2\n'
    file.write_text(head + written)
    manifest = panic_hpc.preview(file)
    assert [model.name for model in stage_named(METRICS).models(manifest)] == ["Fussy"]
    file.write_text(head + 'metrics = ["Fussy"]\n[stages.metrics]\nmodels = ["Fussy"]\n')
    with pytest.raises(ConfigError, match=r"metrics and stages[.]metrics: one table, give it once"):
        panic_hpc.preview(file)


def test_a_shard_says_what_its_components_are_called(tmp_path: Path) -> None:
    experiment = scored(tmp_path / "E", ["Fussy"])
    with panic_hpc.open(merged(experiment)) as dataset:
        assert dataset.scores("Fussy").columns[2:4] == ["length", "spaces"]
        values = dataset.result(METRICS, "Fussy").column("value")
        assert values.dtype == np.float64
        assert len(values) == dataset.result(METRICS, "Fussy").edges("score")[-1]
