"""The first table of all: of each network what its steps are made of, and whether it forgets."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from panic_hpc.analysis.answering import overall
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS
from panic_hpc.analysis.estimators.dynamics.displacement import FEWEST_LAGS, fit_saturation
from panic_hpc.analysis.estimators.dynamics.memory import NOT_YET_TOLD, VERDICTS, memory_of, verdict
from panic_hpc.analysis.estimators.dynamics.network import NetworkDynamics, network_dynamics
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import between, too_few
from panic_hpc.analysis.results import (
    AnalysisResult,
    NotDone,
    Quantity,
    ResultTable,
    Statement,
    refused,
)
from panic_hpc.analysis.samples import networks_of
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of

SHORT_TAU = 20
"""Below it 2 D(1) - D(2), the estimate of the noise without a fit, is too large by over 3 %."""
DISTANCE, STATES = "cosine distance", "states"


class NetworksSettings(AnalysisSettings):
    """What the verdict needs.

    forgotten_below  memory that is none: its interval must lie below
    level_within     a fall of memory over a doubling of age that is none
    """

    forgotten_below: float = Field(default=0.1, gt=0, lt=1)
    level_within: float = Field(default=0.1, gt=0, lt=1)


def _with_bounds(name: str, meaning: str, unit: str) -> tuple[Quantity, ...]:
    return (
        Quantity(name, meaning, unit),
        Quantity(f"{name}_low", f"lower bound of {name}, over prompts", unit),
        Quantity(f"{name}_high", f"upper bound of {name}, over prompts", unit),
    )


COLUMNS = (
    Quantity("network", "its models, joined by arrows", ""),
    Quantity("generator", "those that make pictures", ""),
    Quantity("captioner", "those that make texts", ""),
    Quantity("runs", "runs that have a state", "runs"),
    Quantity("prompts", "prompts of these, the independent units", "prompts"),
    Quantity("states", "median length of these", STATES),
    *_with_bounds("step_length", "mean distance of successive states, D(1)", DISTANCE),
    *_with_bounds("noise", "what each state draws anew: D(k) fitted back to k = 0", DISTANCE),
    *_with_bounds("noise_share", "noise by step length", "1"),
    Quantity("noise_two_lags", "noise without a fit, 2 D(1) - D(2); too large if tau is short",
             DISTANCE),
    *_with_bounds("accumulation", "what a step adds that lasts: step length less noise", DISTANCE),
    *_with_bounds("tau", "correlation time of what wanders; inf: longer than can be told", STATES),
    *_with_bounds("reach", "distance that a run's wandering adds to the noise in the end",
                  DISTANCE),
    *_with_bounds("twins", "distance of runs of one prompt, last quarter", DISTANCE),
    *_with_bounds("strangers", "distance of runs of two prompts, last quarter", DISTANCE),
    *_with_bounds("own_offset", "distance of twins less noise", DISTANCE),
    *_with_bounds("gap", "distance of strangers less that of twins", DISTANCE),
    *_with_bounds("memory", "gap by distance of strangers without noise, last quarter", "1"),
    *_with_bounds("memory_change", "change of memory since half time, one doubling of age", "1"),
    Quantity("verdict", "forgotten, kept or not yet told", ""),
    Quantity("why", "reason of the verdict", ""),
    Quantity("flags", "where an estimate beside it is biased or cannot be told, empty: nowhere",
             ""),
)  # fmt: skip
COURSE = (
    Quantity("network", "the network", ""),
    Quantity("state", "mean number of the states compared, from 0", STATES),
    *_with_bounds("twins", "distance of runs of one prompt", DISTANCE),
    *_with_bounds("strangers", "distance of runs of two prompts", DISTANCE),
    *_with_bounds("memory", "share of the strangers' distance owed to prompts", "1"),
)
DISPLACEMENT = (
    Quantity("network", "the network", ""),
    Quantity("lag", "states between two states of one run", STATES),
    *_with_bounds("displacement", "their mean distance, second half of runs", DISTANCE),
    Quantity("fitted", "noise + reach (1 - exp(-lag / tau))", DISTANCE),
)


def analyse_networks(trajectories: TrajectorySet, settings: NetworksSettings) -> AnalysisResult:
    """Measure each network by distances alone: no clusters, no projection."""
    present = trajectories.lengths > 0
    if not present.any():
        return refused("networks", "no run has a state")
    chosen = trajectories.select(present)
    rows, course, curves, not_done, statements = [], [], [], [], []
    for name, own in networks_of(chosen):
        dynamics = network_dynamics(own, settings.level)
        row = _row(name, own, dynamics, settings)
        rows.append(row)
        course += list(_course(name, dynamics))
        curves += list(_curve(name, dynamics))
        not_done += list(_not_done(name, own, dynamics))
        statements.append(_statement(row, settings))
    tables = [
        ResultTable.of_rows("networks", "network", COLUMNS, rows),
        ResultTable.of_rows("memory_course", "network and time", COURSE, course),
        ResultTable.of_rows("displacement", "network and lag", DISPLACEMENT, curves),
    ]
    if absent := int((~present).sum()):
        not_done.append(NotDone("networks", f"runs without a state are left out: {absent}"))
    n_units = {"prompts": len(codes_of(chosen.labels.prompt)[1]), "runs": chosen.n_runs}
    return AnalysisResult([_summary(rows), *statements], tables, (), not_done, n_units)


def _row(
    name: str, own: TrajectorySet, dynamics: NetworkDynamics, settings: NetworksSettings
) -> dict[str, Any]:
    d, late = dynamics, dynamics.late
    blank = np.full(d.n_prompts + 1, np.nan)
    step = d.displacement[:, 0] if len(d.lags) else blank
    twins = blank if late is None else late.twins
    strangers = blank if late is None else late.strangers
    measured = {
        "step_length": d.bounds(step),
        "noise": d.bounds(d.noise),
        "noise_share": d.bounds(_ratio(d.noise, step)),
        "accumulation": d.bounds(step - d.noise),
        "tau": d.tau_bounds,
        "reach": d.bounds(d.reach),
        "twins": d.bounds(twins),
        "strangers": d.bounds(strangers),
        "own_offset": d.bounds(twins - d.noise),
        "gap": d.bounds(strangers - twins),
        "memory": d.bounds(d.memory),
        "memory_change": d.bounds(d.memory_change),
    }
    told, why = verdict(
        measured["memory"],
        measured["memory_change"],
        has_levelled=d.has_levelled,
        forgotten_below=settings.forgotten_below,
        level_within=settings.level_within,
    )
    row: dict[str, Any] = {
        "network": name,
        "generator": str(own.labels.generator[0]),
        "captioner": str(own.labels.captioner[0]),
        "runs": own.n_runs,
        "prompts": d.n_prompts,
        "states": d.n_states,
        "noise_two_lags": _two_lags(d),
        "verdict": told,
        "why": why,
        "flags": "; ".join(_flags(d)),
    }
    for quantity, (value, low, high) in measured.items():
        row |= {quantity: value, f"{quantity}_low": low, f"{quantity}_high": high}
    return row


def _ratio(above: Any, below: Any) -> Any:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


def _two_lags(d: NetworkDynamics) -> float:
    if len(d.lags) < 2 or d.lags[1] != 2:
        return float("nan")
    return float(2 * d.displacement[0, 0] - d.displacement[0, 1])


def _flags(d: NetworkDynamics) -> Iterator[str]:
    """Yield what is biased, or cannot be told, of the numbers of a network."""
    tau, _, high = d.tau_bounds
    if len(d.lags) < FEWEST_LAGS:
        yield "runs too short for a fit: noise, reach and tau are not told"
    elif tau < SHORT_TAU:
        excess = _two_lags(d) / d.noise[0] - 1 if d.noise[0] > 0 else np.inf
        told = f" by {excess:z.0%}" if np.isfinite(excess) else ""
        yield f"tau below {SHORT_TAU} states: noise_two_lags is too large{told}"
    elif max(tau, np.nan_to_num(high)) > d.lags[-1]:
        yield f"tau may be longer than the {d.lags[-1]} states that its fit sees: reach not told"
    elif np.isnan(tau) and np.isfinite(d.noise[0]):
        yield "nothing wanders beyond noise: tau has no meaning"


def _course(name: str, d: NetworkDynamics) -> Iterator[tuple[Any, ...]]:
    for one in d.bins:
        columns = (one.twins, one.strangers, memory_of(one, d.noise))
        yield (name, one.states, *(x for column in columns for x in d.bounds(column)))


def _curve(name: str, d: NetworkDynamics) -> Iterator[tuple[Any, ...]]:
    fitted = np.full(len(d.lags), np.nan)
    if len(d.lags) >= FEWEST_LAGS and np.isfinite(d.noise[0]):
        fitted = fit_saturation(d.lags, d.displacement[0]).at(d.lags)[0]
    for place, lag in enumerate(d.lags):
        yield (name, int(lag), *d.bounds(d.displacement[:, place]), float(fitted[place]))


def _not_done(name: str, own: TrajectorySet, d: NetworkDynamics) -> Iterator[NotDone]:
    if d.n_states < 2:
        yield NotDone(f"step length of {name}", "its runs have one state")
    elif len(d.lags) < FEWEST_LAGS:
        yield NotDone(f"noise, tau and memory of {name}",
                      f"its runs have {d.n_states} states, too few for a fit")  # fmt: skip
    elif np.isnan(d.noise[0]):
        yield NotDone(f"noise, tau and memory of {name}", "too few states are finite")
    if d.n_prompts < 2:
        yield NotDone(f"gap and memory of {name}", "it has one prompt, so no strangers")
    if d.late is not None and np.isnan(d.late.twins[0]):
        yield NotDone(f"own offset and memory of {name}", "no prompt has two runs, so no twins")
    if d.late is not None and d.late.strangers[0] - d.noise[0] <= 0:
        yield NotDone(f"memory of {name}", "strangers are no farther apart than noise alone makes")
    if d.n_prompts < FEWEST_UNITS:
        yield NotDone(f"intervals of {name}", too_few(d.n_prompts))
    if shorter := int((own.lengths < d.n_states).sum()):
        yield NotDone(f"{name} throughout", f"{shorter} of {own.n_runs} runs end before "
                      f"{d.n_states} states and count as far as they go")  # fmt: skip


def _statement(row: dict[str, Any], settings: NetworksSettings) -> Statement:
    memory, low, high = (row[f"memory{end}"] for end in ("", "_low", "_high"))
    told = ""
    if np.isfinite(memory):
        told = f": {memory:z.0%} of what sets strangers apart is owed to their prompts"
        told += between(low, high, settings.level, ".0%")
    noise = f"; noise is {row['noise_share']:.0%} of a step" if row["noise_share"] > 0 else ""
    tau = f", tau {row['tau']:.3g} states" if np.isfinite(row["tau"]) else ""
    sentence = f"prompt {row['verdict']}{told}{noise}{tau} ({row['why']})"
    return Statement(row["network"], sentence, memory, low, high, settings.level, "1",
                     row["prompts"], "prompts")  # fmt: skip


def _summary(rows: list[dict[str, Any]]) -> Statement:
    told = [row["verdict"] for row in rows]
    listed = ", ".join(f"{kind} by {told.count(kind)}" for kind in VERDICTS)
    said = f"Of {len(rows)} networks the prompt is {listed}"
    if told == [NOT_YET_TOLD]:
        said = f"Whether the prompt is forgotten is not yet told: {rows[0]['why']}"
    elif len(rows) == 1:
        said = f"The prompt is {told[0]}"
    return Statement("", said, float(told.count("kept")), unit="networks",
                     n=max(row["prompts"] for row in rows), replication="prompts")  # fmt: skip


def answer(result: AnalysisResult) -> Statement | None:
    """Return how many networks forget, and how much of the prompt is left in all of them."""
    counts = overall(result)
    left = [one.value for one in result.statements if one.subject and one.value == one.value]
    if counts is None or not left:
        return counts
    span = f"{min(left):z.0%}" if len(left) == 1 else f"{min(left):z.0%} to {max(left):z.0%}"
    told = f"{span} of what sets strangers apart is left of it"
    return replace(counts, sentence=f"{counts.sentence}; {told}")


PLUGINS = (
    Analysis(
        name="networks",
        question=QUESTIONS[0],
        asks="what a network's steps are made of, and whether its runs forget their prompt",
        function=analyse_networks,
        settings=NetworksSettings,
        order=10,
        answer=answer,
        figures=(
            FigureSpec(
                name="memory",
                table="memory_course",
                form="lines",
                title="How much of the prompt is left",
                caption="Share of what sets strangers apart prompts make; 0 (line): forgotten.",
                x="state",
                y="memory",
                series="network",
                low="memory_low",
                high="memory_high",
                reference=0.0,
            ),
            FigureSpec(
                name="displacement",
                table="displacement",
                form="lines",
                title="How far runs go",
                caption="Mean cosine distance of states that lie a lag apart.",
                x="lag",
                y="displacement",
                series="network",
                low="displacement_low",
                high="displacement_high",
            ),
        ),
    ),
)
