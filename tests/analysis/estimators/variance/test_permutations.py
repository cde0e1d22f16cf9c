"""PERMANOVA, its form for unequal dispersions, PERMDISP: p-values on the null, units, strata."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis.estimators.variance.permutations import GroupDifference, compare_groups
from panic_hpc.errors import AnalysisError

Draw = Callable[[np.random.Generator], GroupDifference]


def groups(sizes: tuple[int, int], spreads: tuple[float, float], d: int = 5) -> Draw:
    """Return a draw of two groups of one centre, of these sizes and spreads."""

    def draw(rng: np.random.Generator) -> GroupDifference:
        points = [s * rng.normal(size=(n, d)) for n, s in zip(sizes, spreads, strict=True)]
        seed = int(rng.integers(2**31))
        labels = np.repeat([0, 1], sizes)
        return compare_groups(np.concatenate(points), labels, permutations=99, seed=seed)

    return draw


def p_values(draw: Draw, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = [draw(rng) for _ in range(count)]
    return {
        name: np.array([getattr(one, name).p for one in found])
        for name in ("pseudo_f", "f2", "spread")
    }


def uniform(p: np.ndarray) -> float:
    """Return the KS p-value of p-values that are multiples of 1 / 100."""
    spread_out = p - np.random.default_rng(9).uniform(0, 0.01, len(p))
    return float(kstest(spread_out, "uniform").pvalue)


@pytest.mark.parametrize(
    ("sizes", "spreads"),
    [((20, 20), (1, 1)), ((10, 30), (3, 1)), ((10, 30), (1, 3)), ((20, 20), (3, 1))],
)
def test_f2_has_uniform_p_values_where_centres_are_equal_whatever_the_dispersions(
    sizes: tuple[int, int], spreads: tuple[float, float]
) -> None:
    found = p_values(groups(sizes, spreads), 150)
    assert uniform(found["f2"]) > 0.01
    assert np.mean(found["f2"] <= 0.05) < 0.12


def test_pseudo_f_is_misled_by_dispersions_and_permdisp_says_so() -> None:
    small_and_wide = p_values(groups((10, 30), (3, 1)), 60)
    small_and_tight = p_values(groups((10, 30), (1, 3)), 60)
    assert np.mean(small_and_wide["pseudo_f"] <= 0.05) > 0.3
    assert np.mean(small_and_tight["pseudo_f"] <= 0.05) == 0
    for found in (small_and_wide, small_and_tight):
        assert np.mean(found["spread"] <= 0.05) > 0.95


@pytest.mark.parametrize("sizes", [(20, 20), (6, 34)])
def test_permdisp_has_uniform_p_values_where_spreads_are_equal(sizes: tuple[int, int]) -> None:
    assert uniform(p_values(groups(sizes, (1, 1)), 150)["spread"]) > 0.01


def runs_of_a_crossed_design(
    rng: np.random.Generator, missing: float, effect: float = 0.0
) -> dict[str, np.ndarray]:
    """Return 12 prompts by 3 captioners by 2 runs, each run an offset of its own and 10 steps."""
    prompt, captioner, run, step = (
        axis.ravel() for axis in np.meshgrid(*map(range, (12, 3, 2, 10)), indexing="ij")
    )
    unit = (prompt * 3 + captioner) * 2 + run
    offsets = rng.normal(size=(unit.max() + 1, 4))
    points = (
        10 * rng.normal(size=(12, 4))[prompt]
        + effect * rng.normal(size=(3, 4))[captioner]
        + offsets[unit] * (1 + captioner[:, None])
        + 0.1 * rng.normal(size=(len(unit), 4))
    )
    kept = (rng.random(unit.max() + 1) >= missing)[unit]
    columns = {
        "points": points, "captioner": captioner, "prompt": prompt, "run": unit, "step": step,
    }  # fmt: skip
    return {name: column[kept] for name, column in columns.items()}


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_runs_permuted_within_prompts_give_uniform_p_values(missing: float) -> None:
    def draw(rng: np.random.Generator) -> GroupDifference:
        found = runs_of_a_crossed_design(rng, missing)
        return compare_groups(
            found["points"], found["captioner"], units=found["run"], strata=found["prompt"],
            permutations=99, seed=int(rng.integers(2**31)),
        )  # fmt: skip

    found = p_values(draw, 120)["f2"]
    assert uniform(found) > 0.01
    assert np.mean(found <= 0.05) < 0.12


def test_steps_as_units_always_find_an_effect_that_is_not_there() -> None:
    naive, right = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(8), 10)
        points = rng.normal(size=(8, 50))[unit] + 0.1 * rng.normal(size=(80, 50))
        label = unit % 2
        naive.append(compare_groups(points, label, permutations=99).f2.p)
        found = compare_groups(points, label, units=unit, permutations=99).f2
        right.append(found.p)
        assert found.n_units == 8
    assert max(naive) <= 0.05
    assert np.mean(np.array(right) <= 0.05) <= 0.15


def test_a_planted_effect_is_found_beside_a_prompt_effect_that_is_ten_times_as_large() -> None:
    found = runs_of_a_crossed_design(np.random.default_rng(3), 0.2, effect=2.0)
    within = compare_groups(
        found["points"], found["captioner"], units=found["run"], strata=found["prompt"]
    )
    over_all = compare_groups(found["points"], found["captioner"], units=found["run"])
    assert within.f2.p <= 0.002
    assert over_all.f2.p > 0.01


def test_omega2_has_no_bias_where_eta2_has() -> None:
    rng = np.random.default_rng(4)
    found = [
        compare_groups(rng.normal(size=16), np.arange(16) % 4, permutations=1) for _ in range(300)
    ]
    assert np.mean([one.eta2 for one in found]) == pytest.approx(0.20, abs=0.02)
    assert abs(np.mean([one.omega2 for one in found])) < 0.02


def test_vectors_of_more_dimensions_than_units_are_compared_as_they_are() -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(12, 300))
    label = np.arange(12) % 3
    turned = points @ np.linalg.qr(rng.normal(size=(300, 300)))[0] + 7
    once, again = (compare_groups(table, label, seed=1) for table in (points, turned))
    assert once.pseudo_f.p == again.pseudo_f.p
    assert once.f2.statistic == pytest.approx(again.f2.statistic)
    # By the definition, of all squared distances between units.
    squares = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    same = label[:, None] == label[None]
    total, within = squares.sum() / 24, squares[same].sum() / 8
    assert once.pseudo_f.statistic == pytest.approx((total - within) / 2 / (within / 9))


def test_too_few_arrangements_are_told() -> None:
    found = compare_groups([0.0, 0.1, 0.2, 5.0, 5.1, 5.2], list("aaabbb"))
    assert found.f2.smallest_p == pytest.approx(1 / 20)
    assert found.f2.p >= 0.05


def test_rows_that_are_not_finite_are_left_out_and_counted() -> None:
    points = np.random.default_rng(6).normal(size=(20, 2))
    points[3, 1] = np.nan
    found = compare_groups(points, np.arange(20) % 2)
    assert (found.dropped, found.f2.n_units) == (1, 19)


@pytest.mark.parametrize(
    ("labels", "strata", "units", "words"),
    [
        (["a"] * 4, None, None, "one group only"),
        (["a", "a", "b", "b"], [0, 0, 1, 1], None, "none of 2 strata"),
        (["a", "b"] * 2, None, [0, 0, 1, 1], "several groups"),
        (["a", "b", "c", "d"], None, None, "no unit is left"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    labels: list[str], strata: list[int] | None, units: list[int] | None, words: str
) -> None:
    with pytest.raises(AnalysisError, match=words):
        compare_groups([1.0, 2.0, 3.0, 4.0], labels, strata=strata, units=units)


def paired(rng: np.random.Generator, factor: float) -> tuple[np.ndarray, ...]:
    """Return (24, 5) units of 12 strata, one of each group; the second group is wider."""
    stratum, group = np.repeat(np.arange(12), 2), np.tile([0, 1], 12)
    common = rng.normal(size=(12, 5))[stratum]
    own = rng.normal(size=(24, 5)) * np.where(group, factor, 1.0)[:, None]
    return common + own + group[:, None], group, stratum


def test_a_wider_group_is_seen_though_each_stratum_has_one_unit_of_it() -> None:
    rng = np.random.default_rng(8)
    p = []
    for _ in range(20):
        points, group, stratum = paired(rng, 3.0)
        p.append(compare_groups(points, group, strata=stratum, permutations=199).spread.p)
    assert np.median(p) < 0.02


def test_p_values_of_spread_are_uniform_in_pairs_of_equal_spread() -> None:
    rng = np.random.default_rng(9)
    p = []
    for seed in range(200):
        points, group, stratum = paired(rng, 1.0)
        found = compare_groups(points, group, strata=stratum, permutations=99, seed=seed)
        p.append(found.spread.p - rng.uniform(0, 0.01))
    assert kstest(p, "uniform").pvalue > 0.01
