"""Crossed variance components: planted truth, coverage of intervals, p-values on the null."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from panic_hpc.analysis.estimators.variance.components import Design, bounds, variance_components
from panic_hpc.errors import AnalysisError

CELL = "prompt:generator:captioner"
TRUTH = {
    "prompt": 50.0, "captioner": 20.0, "generator": 5.0, "generator:captioner": 10.0,
    CELL: 8.0, "residual": 15.0,
}  # fmt: skip
TERMS = [term for term in TRUTH if term != "residual"]


def crossed_labels(missing: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the labels of 20 prompts by 4 generators by 4 captioners by 2 runs, some missing."""
    axes = [axis.ravel() for axis in np.meshgrid(*map(range, (20, 4, 4, 2)), indexing="ij")]
    kept = np.random.default_rng(seed).random(len(axes[0])) >= missing
    return {
        name: axis[kept]
        for name, axis in zip(("prompt", "generator", "captioner"), axes[:3], strict=True)
    }


def outcome(design: Design, truth: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    effects = [
        np.sqrt(truth[name]) * (part.T @ rng.normal(size=part.shape[0]))
        for name, part in zip(design.names, design.matrices, strict=True)
    ]
    return np.sum(effects, axis=0)[:, None]


def study(
    truth: dict[str, float], missing: float, count: int, draws: int = 400
) -> dict[str, dict[str, Any]]:
    """Return by term how often intervals hold the truth, and the p-values."""
    rng = np.random.default_rng(11)
    design = Design(crossed_labels(missing), TERMS)
    forms = design.drawn_forms(draws, rng)
    drawn = [design.estimate(outcome(design, truth, rng)) for _ in range(count)]
    table = np.array([bounds(forms, estimates, 0.95) for estimates in drawn])
    total = sum(truth.values())
    return {
        name: {
            "mean": np.mean([estimates[place] for estimates in drawn]),
            "covered": np.mean((table[:, place, 0] <= s) & (s <= table[:, place, 1])),
            "share": np.mean((table[:, place, 2] <= s / total) & (s / total <= table[:, place, 3])),
            "p": table[:, place, 4],
        }
        for place, (name, s) in enumerate((name, truth[name]) for name in design.names)
    }


def test_intervals_hold_planted_components_with_a_fifth_of_the_runs_missing() -> None:
    for name, found in study(TRUTH, 0.2, 60).items():
        assert found["covered"] >= 0.85, name
        assert found["share"] >= 0.85, name


@pytest.mark.long
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_intervals_hold_planted_components_at_their_nominal_rate(missing: float) -> None:
    for name, found in study(TRUTH, missing, 400, draws=1000).items():
        print(name, missing, found["covered"], found["share"], found["mean"])
        assert found["covered"] >= 0.92, name
        assert found["share"] >= 0.90, name
        assert found["mean"] == pytest.approx(TRUTH[name], rel=0.15), name


def test_p_values_are_uniform_where_a_model_of_few_levels_has_no_effect() -> None:
    found = study({**TRUTH, "captioner": 0.0, "generator": 0.0}, 0.2, 100)
    for name in ("captioner", "generator"):
        assert kstest(found[name]["p"], "uniform").pvalue > 0.01
        assert np.mean(found[name]["p"] <= 0.05) <= 0.12
        assert found[name]["covered"] >= 0.88


def test_estimates_of_a_balanced_design_are_those_of_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(6, 5)) + 3 * rng.normal(size=(6, 1))
    found = variance_components(table.ravel(), {"prompt": np.repeat(range(6), 5)}, ["prompt"])
    within = table.var(axis=1, ddof=1).mean()
    between = 5 * table.mean(axis=1).var(ddof=1)
    prompt, residual = found.rows
    assert prompt.variance == pytest.approx((between - within) / 5)
    assert residual.variance == pytest.approx(within)
    # The exact interval of the residual, 24 degrees of freedom.
    assert residual.low == pytest.approx(within * 24 / 39.36, rel=0.05)
    assert residual.high == pytest.approx(within * 24 / 12.40, rel=0.05)


def test_a_factor_of_four_levels_without_effect_has_no_share_on_average() -> None:
    rng = np.random.default_rng(2)
    label = {"generator": np.arange(16) % 4}
    design = Design(label, ["generator"])
    shares = []
    for _ in range(300):
        estimates = design.estimate(rng.normal(size=(16, 1)))
        shares.append(estimates[0] / estimates.sum())
    assert abs(np.mean(shares)) < 0.03


def test_vectors_are_dealt_out_like_their_columns() -> None:
    rng = np.random.default_rng(3)
    label = crossed_labels(0.1)
    columns = rng.normal(size=(len(label["prompt"]), 3))
    whole = variance_components(columns, label, ["prompt", "captioner"])
    parts = [
        variance_components(column, label, ["prompt", "captioner"], draws=2) for column in columns.T
    ]
    for place, row in enumerate(whole.rows):
        assert row.variance == pytest.approx(sum(part.rows[place].variance for part in parts))
        assert np.isnan(row.low)


def test_terms_that_a_design_cannot_tell_apart_are_named_with_the_reason() -> None:
    label: dict[str, Any] = {
        "prompt": np.arange(12) % 6, "network": ["only"] * 12, "group": np.arange(12) % 6 + 100,
        "run": np.arange(12),
    }  # fmt: skip
    found = variance_components(np.arange(12.0), label, ["prompt", "network", "group", "run"])
    assert [row.term for row in found.rows] == ["prompt", "residual"]
    assert "one level" in found.unresolved["network"]
    assert "prompt" in found.unresolved["group"]
    assert "residual" in found.unresolved["run"]


def test_runs_without_a_number_are_left_out_and_counted() -> None:
    values = np.arange(12.0)
    values[4] = np.nan
    found = variance_components(values, {"prompt": np.arange(12) % 3}, ["prompt"], draws=50)
    assert (found.n_runs, found.dropped) == (11, 1)


def test_one_run_is_refused_with_the_reason() -> None:
    with pytest.raises(AnalysisError, match="one level"):
        variance_components([1.0], {"prompt": ["a"]}, ["prompt"])
    with pytest.raises(AnalysisError, match="no label seed"):
        variance_components([1.0, 2.0], {"prompt": ["a", "b"]}, ["seed"])
