"""Networks of a dataset compared under a measure, and drawn side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import planned
from little_experiment import run_command
from PIL import Image

import panic_hpc
from panic_hpc.analysis.comparing.arms import arms_of, baseline_of
from panic_hpc.analysis.comparing.comparison import compare
from panic_hpc.analysis.comparing.measures import known_measures, measure
from panic_hpc.errors import AnalysisError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.report.comparison_sheet import comparison_sheet, short_names
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.dataset.dataset import Dataset

PROMPTS = ["a red apple", "a small boat", "the moon", "a dog", "two cats", "a grey sea", "rain"]
NETWORKS = [["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T"]]


def made(root: Path, **changes: Any) -> Dataset:
    """Return a dataset of two networks, scored by two metrics."""
    stages = {"metrics": {"models": ["Luminance", "SSIM"]}}
    values = {"networks": NETWORKS, "prompts": PROMPTS, "embedding_models": ["DummyVision"]}
    changes = {"stages": stages, "max_length": 6, "loop_stop": False, **values, **changes}
    experiment = planned(root, **changes)
    experiment.work("runs", "embeddings", "metrics", "diagrams")
    merge([root], experiment.paths.dataset, MergeOptions())
    return panic_hpc.open(experiment.paths.dataset)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made(tmp_path_factory.mktemp("compared") / "E")


def compared(datasets: list[Dataset], name: str, baseline: str = "", **settings: Any) -> Any:
    arms = arms_of(datasets)
    return compare(arms, baseline_of(arms, baseline), name, **settings)


@pytest.mark.parametrize("over", ["mean", "last", "first", "max", "min", "slope", "at=2"])
def test_a_measure_is_one_number_a_run(dataset: Dataset, over: str) -> None:
    found = measure(dataset, f"Luminance.mean:{over}").values
    for run in range(dataset.n_runs):
        steps = dataset.image_steps(run)
        light = [dataset.image(run, step) @ [0.2126, 0.7152, 0.0722] / 255 for step in steps]
        own = np.array([one.mean() for one in light])
        wanted = {
            "mean": own.mean(), "last": own[-1], "first": own[0], "max": own.max(),
            "min": own.min(), "slope": np.polyfit(steps, own, 1)[0], "at=2": own[1],
        }[over]  # fmt: skip
        assert found[run] == pytest.approx(wanted)


def test_what_a_metric_does_not_say_comes_from_the_runs(dataset: Dataset) -> None:
    assert measure(dataset, "steps").values.tolist() == [6.0] * dataset.n_runs
    entropies = [dataset.entropy(run, "DummyVision")[0] for run in range(dataset.n_runs)]
    assert measure(dataset, "entropy.DummyVision.0").values.tolist() == entropies
    for name in known_measures(dataset):
        assert compared([dataset], name).measure == name


def test_a_drift_is_from_the_first_state_and_persistence_of_bars_that_die(
    dataset: Dataset,
) -> None:
    drift = measure(dataset, "drift.DummyVision").values
    persistence = measure(dataset, "persistence.DummyVision.0").values
    for run in range(dataset.n_runs):
        states = dataset.trajectory(run, "DummyVision").astype(float)
        states /= np.linalg.norm(states, axis=1)[:, None]
        # A tenth of three states is the last.
        assert drift[run] == pytest.approx(1 - states[-1] @ states[0], abs=1e-5)
        bars = dataset.diagrams(run, "DummyVision")[0]
        lengths = bars[:, 1] - bars[:, 0]
        assert persistence[run] == pytest.approx(lengths[np.isfinite(lengths)].sum(), abs=1e-5)


def test_outputs_that_come_again_are_not_distinct(tmp_path: Path) -> None:
    networks = [["DummyT2I", "DummyI2T"], ["DummyT2I", "DummyI2T2"]]
    with made(tmp_path / "E", networks=networks, max_length=10) as looped:
        found = measure(looped, "distinct").values
        for run in range(looped.n_runs):
            own = [looped.image(run, step).tobytes() for step in looped.image_steps(run)]
            texts = list(looped.texts(run).values())
            assert found[run] == (len(set(own)) + len(set(texts))) / 10
    assert found.min() < 1


def test_a_twin_is_the_baselines_run_of_the_same_prompt_and_seed(dataset: Dataset) -> None:
    first, second = compared([dataset], "twin.DummyVision:last").arms
    n = dataset.n_runs // 2
    states = np.array([dataset.trajectory(run, "DummyVision")[-1] for run in range(2 * n)], float)
    states /= np.linalg.norm(states, axis=1)[:, None]
    gaps = 1 - np.einsum("nd,nd->n", states[:n], states[n:])
    assert first.mean == 0
    assert second.mean == pytest.approx(gaps.mean(), abs=1e-5)
    assert second.difference.low < second.mean < second.difference.high
    assert np.isnan(second.difference.p), "a distance is never below 0"
    (same, _) = compared([dataset, dataset], "twin.DummyVision").arms[:2]
    assert same.mean == 0


def test_a_run_of_the_same_bits_is_at_no_distance_from_its_twin(
    dataset: Dataset, tmp_path: Path
) -> None:
    with made(tmp_path / "again") as again:
        found = compared([dataset, again], "twin.DummyVision", baseline="E: DummyT2I →").arms
    twin = next(arm for arm in found if arm.name.startswith("again: DummyT2I →"))
    other = next(arm for arm in found if arm.name.startswith("again: DummyT2I2"))
    assert twin.mean == pytest.approx(0, abs=1e-6)
    assert other.mean > 1e-3
    with pytest.raises(AnalysisError, match=r"no measure 'twin\.Sight'"):
        compared([dataset], "twin.Sight")


def test_runs_pair_by_prompt_and_seed(dataset: Dataset) -> None:
    values, runs = measure(dataset, "Luminance.mean:last").values, dataset.runs()
    by_key = {
        (network, prompt, seed): values[run]
        for run, network, prompt, seed in runs.select("run", "network", "prompt", "seed").rows()
    }
    means = [
        np.mean([by_key[1, prompt, seed] - by_key[0, prompt, seed] for seed in (1, 2, 3)])
        for prompt in range(len(PROMPTS))
    ]
    first, second = compared([dataset], "Luminance.mean:last").arms
    assert first.difference is None
    assert second.difference.mean == pytest.approx(np.mean(means))
    assert (second.difference.n_units, second.difference.n_pairs) == (7, 21)
    assert second.difference.low < second.difference.mean < second.difference.high
    assert second.p_holm == second.difference.p
    (other, _) = compared([dataset], "Luminance.mean:last", baseline="DummyT2I2").arms
    assert other.difference.mean == pytest.approx(-second.difference.mean)


def test_the_layout_of_shards_changes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    with made(tmp_path / "cut", runs_per_shard=4) as cut:
        for name in ("SSIM:mean", "Luminance.variance", "kid.DummyVision", "fid.DummyVision"):
            assert repr(compared([cut], name)) == repr(compared([dataset], name))


def test_arms_of_other_seeds_have_no_interval_and_say_why(dataset: Dataset, tmp_path: Path) -> None:
    with made(tmp_path / "other", seeds=[7, 8, 9], networks=NETWORKS[:1]) as other:
        found = compared([dataset, other], "Luminance.mean").arms
    assert found[-1].difference.why == "no pair of equal prompt and seed"
    assert np.isnan(found[-1].difference.low)
    assert (found[-1].n_unpaired, found[-1].n_runs) == (21, 21)
    assert found[1].difference.why == ""


def test_too_few_prompts_have_no_interval_and_say_why(tmp_path: Path) -> None:
    with made(tmp_path / "few", prompts=PROMPTS[:3]) as few:
        (_, found) = compared([few], "Luminance.mean").arms
    assert found.difference.why == "3 of the 6 prompts that an interval needs"


def test_sets_say_how_many_they_are_and_that_they_share_prompts(dataset: Dataset) -> None:
    (found,) = compared([dataset], "fid.DummyVision").sets
    assert (found.n, found.n_baseline) == (63, 63)
    assert found.is_biased
    assert found.shares_prompts
    (distance,) = compared([dataset], "kid.DummyVision").sets
    assert (distance.is_biased, distance.is_between_prompts) == (False, True)
    assert not found.is_between_prompts


def test_sets_of_one_prompt_have_a_distance_and_say_that_it_is_too_small(tmp_path: Path) -> None:
    with made(tmp_path / "single", prompts=PROMPTS[:1]) as single:
        (distance,) = compared([single], "kid.DummyVision").sets
        assert (distance.shares_prompts, distance.is_between_prompts) == (True, False)
        assert np.isfinite(distance.value)
        said = run_command("compare", single.path, "--measure", "kid.DummyVision")
    assert "which makes distances too small" in " ".join(said.split())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Luminanc.mean", "Did you mean 'Luminance.mean' or 'Luminance.variance'? There are L"),
        ("Luminance", "Measures are Luminance.mean, Luminance.variance"),
        ("Luminance.median", "Measures are Luminance.mean, Luminance.variance"),
        ("SSIM:middle", "Over steps there are mean, last, first, max, min, slope and at=STEP"),
        ("kid.DummyText", "There are Luminance.mean, Luminance.variance, SSIM, steps, loop"),
        ("entropy.DummyVision.7", "There are Luminance.mean"),
        ("steps:mean", "There are Luminance.mean"),
    ],
)
def test_a_measure_that_nothing_gives_names_those_there_are(
    dataset: Dataset, name: str, told: str
) -> None:
    with pytest.raises(AnalysisError) as caught:
        compared([dataset], name)
    assert told in caught.value.hint


def test_a_network_of_both_noises_is_two_arms(tmp_path: Path) -> None:
    """Their runs of one prompt and seed must not hide one another."""
    networks = [NETWORKS[0], {"models": NETWORKS[0], "noise": "per_step"}]
    with made(tmp_path / "E", networks=networks) as both:
        fixed, stepped = compared([both], "Luminance.mean").arms
    assert fixed.name == "DummyT2I → DummyI2T (fixed)"
    assert stepped.name == "DummyT2I → DummyI2T (per_step)"
    assert stepped.difference.n_pairs == fixed.n_runs == stepped.n_runs == 21


def test_noises_and_experiments_pair_within_their_networks(tmp_path: Path) -> None:
    networks = [
        *NETWORKS,
        *({"models": models, "noise": "per_step"} for models in NETWORKS),
    ]
    with made(tmp_path / "E", networks=networks) as both, made(tmp_path / "F") as fixed:
        name = "Luminance.mean:last"
        by_noise = compare(*_with_first(arms_of([both], "noise")), name).arms
        by_experiment = compare(*_with_first(arms_of([both, fixed], "experiment")), name).arms
    assert [arm.name for arm in by_noise] == ["fixed", "per_step"]
    assert by_noise[1].difference is not None
    assert by_noise[1].difference.n_pairs == 42
    assert [arm.name.partition(":")[0] for arm in by_experiment] == ["E", "F"]
    assert by_experiment[1].difference is not None
    # The same runs, found again by network and noise: no difference, and half have no partner.
    assert by_experiment[1].difference.n_pairs == 42
    assert by_experiment[1].difference.mean == 0
    assert by_experiment[0].n_runs == 84


def _with_first(arms: list[Any]) -> tuple[list[Any], Any]:
    return arms, arms[0]


def test_groups_share_no_prompt_and_another_label_names_those_there_are(tmp_path: Path) -> None:
    prompts = [{"text": text, "group": f"g{k % 2}"} for k, text in enumerate(PROMPTS)]
    with made(tmp_path / "E", prompts=prompts) as grouped:
        arms = arms_of([grouped], "group")
        (_, second) = compare(arms, arms[0], "steps").arms
        with pytest.raises(AnalysisError) as caught:
            arms_of([grouped], "colour")
    assert [arm.name for arm in arms] == ["g0", "g1"]
    assert second.difference is not None
    assert second.difference.why == "no pair of equal prompt and seed"
    assert "network, experiment, group, noise" in caught.value.hint


def test_a_baseline_is_one_arm(dataset: Dataset) -> None:
    with pytest.raises(AnalysisError, match="2 arms are called so"):
        compared([dataset], "steps", baseline="Dummy")
    with pytest.raises(AnalysisError, match="no arm is called so"):
        compared([dataset], "steps", baseline="Flux")


def test_a_sheet_has_a_column_an_arm_and_a_row_a_pair(dataset: Dataset, tmp_path: Path) -> None:
    path = comparison_sheet(arms_of([dataset]), ["SSIM:mean"], tmp_path / "sheet.png")
    with Image.open(path) as sheet:
        assert sheet.width < 600
        assert sheet.height > 12 * 128


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["Drawn.guidance-1.0.steps-2", "Drawn.guidance-1.0.steps-4"], ["steps-2", "steps-4"]),
        (["Drawn.guidance-1.0", "Drawn.guidance-1.5"], ["guidance-1.0", "guidance-1.5"]),
        (["A → C", "B → C"], ["A → C", "B → C"]),
        (["A → C", "A → D"], ["C", "D"]),
        (["A", "A"], ["A", "A"]),
    ],
)
def test_names_lose_what_they_all_begin_with(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


def test_the_verb_merges_prints_json_and_draws(tmp_path: Path) -> None:
    with made(tmp_path / "E") as whole:
        before = compared([whole], "SSIM:last").arms[1].mean
    (tmp_path / "E" / "dataset.h5").unlink()
    sheet = tmp_path / "sheet.png"
    asked = ("compare", tmp_path / "E", "--measure", "SSIM:last", "--sheet", sheet)
    found = json.loads(run_command(*asked, "--json"))
    (comparison,) = found["comparisons"]
    assert comparison["arms"][1]["mean"] == pytest.approx(before)
    assert comparison["arms"][0]["difference"] is None
    assert found["sheet"] == str(sheet)
    assert sheet.exists()
    assert "is there already and would be replaced" in run_command(*asked, code=1)
