"""Figures that every dataset has, whatever analyses are installed: their tables and forms."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.reading import trajectories
from panic_hpc.analysis.results import Quantity, ResultTable
from panic_hpc.analysis.samples import spread_places
from panic_hpc.analysis.trajectory_set import TrajectorySet, unit_rows
from panic_hpc.types import DIAGRAMS, EMBEDDINGS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

Figure = tuple[FigureSpec, ResultTable]
MOST_RUNS = 2000
MOST_STEPS = 120
MOST_POINTS = 40
"""Of a line of steps: more are noise, each of its own state."""
_LEVELS = (0.25, 0.5, 0.75)


def figures_of(dataset: "Dataset") -> Iterator[Figure]:
    """Yield the figures that the dataset allows, each with the table that it is drawn from."""
    for model in dataset.models_of(EMBEDDINGS):
        found = trajectories(dataset, model)
        yield drift(found)
        yield steps(found)
    for model in dataset.models_of(DIAGRAMS):
        yield from entropies(dataset, model)


def drift(trajectories: TrajectorySet) -> Figure:
    """Return the distance from each run's first state by step, with that of strangers beside it.

    The null band is where states of runs with other prompts lie from a first state: as far as a
    run can be from its beginning once that is forgotten.
    """
    chosen = trajectories.select(spread_places(trajectories.n_runs, MOST_RUNS))
    rows = []
    for network in dict.fromkeys(chosen.labels.network.tolist()):
        own = chosen.select(chosen.labels.network == network)
        rows += _drift_rows(own, str(network))
    columns = (
        Quantity("network", "network", ""),
        Quantity("state", "states since the first", "states"),
        Quantity("distance", "cosine distance from a run's first state, median"),
        Quantity("low", "its lower quartile over runs"),
        Quantity("high", "its upper quartile over runs"),
        Quantity("null_low", "lower quartile between first states of runs with other prompts"),
        Quantity("null_high", "upper quartile between first states of runs with other prompts"),
        Quantity("runs", "runs that are as long", "runs"),
    )
    table = ResultTable.of_rows("drift", "state of a network", columns, rows)
    spec = FigureSpec(
        name=f"drift-{trajectories.model}",
        table="drift",
        form="lines",
        title=f"How far runs are from their beginning, in {trajectories.model}",
        caption="Median and quartiles over runs. Grey: how far apart first states of runs with "
        "different prompts are; a run that gets there is as far from its beginning as a stranger.",
        x="state",
        y="distance",
        panels="network",
        low="low",
        high="high",
        null_low="null_low",
        null_high="null_high",
    )
    return spec, table


def _drift_rows(trajectories: TrajectorySet, network: str) -> list[tuple[object, ...]]:
    most = int(trajectories.lengths.max(initial=0))
    every = max(1, most // MOST_STEPS)
    distances = np.full((trajectories.n_runs, len(range(0, most, every))), np.nan)
    for run in range(trajectories.n_runs):
        states = unit_rows(trajectories.of_run(run)[::every])
        distances[run, : len(states)] = 1 - states @ states[0] if len(states) else []
    low, high = _between_strangers(trajectories)
    rows: list[tuple[object, ...]] = []
    for place, column in enumerate(distances.T):
        known = column[np.isfinite(column)]
        if len(known):
            quartiles = np.quantile(known, _LEVELS)
            rows.append((network, place * every, float(quartiles[1]), float(quartiles[0]),
                         float(quartiles[2]), low, high, len(known)))  # fmt: skip
    return rows


def steps(trajectories: TrajectorySet) -> Figure:
    """Return the length of steps along runs: a settled run goes on at one pace, which is noise."""
    chosen = trajectories.select(spread_places(trajectories.n_runs, MOST_RUNS))
    rows: list[tuple[object, ...]] = []
    for network in dict.fromkeys(chosen.labels.network.tolist()):
        own = chosen.select(chosen.labels.network == network)
        for state, lengths in _step_lengths(own):
            low, middle, high = np.quantile(lengths, _LEVELS).tolist()
            rows.append((str(network), state, middle, low, high, len(lengths)))
    columns = (
        Quantity("network", "network", ""),
        Quantity("state", "states since the first", "states"),
        Quantity("step", "cosine distance from the state before, median"),
        Quantity("low", "its lower quartile over runs", "cosine distance"),
        Quantity("high", "its upper quartile over runs", "cosine distance"),
        Quantity("runs", "runs that are as long", "runs"),
    )
    spec = FigureSpec(
        name=f"steps-{trajectories.model}",
        table="steps",
        form="lines",
        title=f"How far runs go in a step, in {trajectories.model}",
        caption="Mean over some states of each run; median and quartiles over runs.",
        x="state",
        y="step",
        series="network",
        low="low",
        high="high",
    )
    return spec, ResultTable.of_rows("steps", "state of a network", columns, rows)


def _step_lengths(own: TrajectorySet) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the first state of each stretch of time, and the mean step of each run in it."""
    most = int(own.lengths.max(initial=0))
    wide = max(1, -(-most // MOST_POINTS))
    lengths = np.full((own.n_runs, most), np.nan)
    for run in range(own.n_runs):
        states = own.unit(run)
        lengths[run, 1 : len(states)] = 1 - np.einsum("td,td->t", states[1:], states[:-1])
    for state in range(1, most, wide):
        part = lengths[:, state : state + wide]
        known = np.isfinite(part).any(axis=1)
        if known.any():
            yield state, np.nanmean(part[known], axis=1)


def _between_strangers(trajectories: TrajectorySet) -> tuple[float, float]:
    begun = np.flatnonzero(trajectories.lengths > 0)[:400]
    if len(begun) < 2:
        return np.nan, np.nan
    first = unit_rows(trajectories.vectors[trajectories.starts[begun]])
    prompts = trajectories.labels.prompt[begun]
    apart = (1 - first @ first.T)[prompts[:, None] != prompts[None, :]]
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        return np.nan, np.nan
    low, _, high = np.quantile(apart, _LEVELS)
    return float(low), float(high)


def entropies(dataset: "Dataset", model: str) -> Iterator[Figure]:
    """Yield the persistence entropy of runs by network, a figure a homology dimension above 0."""
    table = dataset.file.array(f"{DIAGRAMS}/{model}/entropy")
    names = dataset.networks()["name"].to_list()
    network = dataset.file.array("runs/network")
    nulls = _null_entropies(dataset, model)
    columns = (
        Quantity("network", "network", ""),
        Quantity("run", "row of the run", ""),
        Quantity("entropy", "persistence entropy", "nat"),
        Quantity("null_low", "2.5 % quantile of phase-randomised surrogates of its network"),
        Quantity("null_high", "97.5 % quantile of them"),
    )
    for dimension in range(1, table.shape[1]):
        known = np.flatnonzero(np.isfinite(table[:, dimension]))
        if not len(known):
            continue
        rows = [
            (names[network[run]], run, float(table[run, dimension]),
             *nulls.get((int(network[run]), dimension), (np.nan, np.nan)))
            for run in known.tolist()
        ]  # fmt: skip
        own = ResultTable.of_rows("entropies", "run", columns, rows)
        has_null = bool(nulls)
        spec = FigureSpec(
            name=f"entropy-H{dimension}-{model}",
            table="entropies",
            form="distributions",
            title=f"Persistence entropy of H{dimension}, in {model}",
            caption="A tick is a run; bar and dot are quartiles and median. "
            + ("Grey: surrogates of the same spectrum." if has_null else
               "No null: the experiment asked for no surrogates ([homology] surrogates)."),
            x="network",
            y="entropy",
            null_low="null_low" if has_null else "",
            null_high="null_high" if has_null else "",
        )  # fmt: skip
        yield spec, own


def _null_entropies(dataset: "Dataset", model: str) -> dict[tuple[int, int], tuple[float, float]]:
    network = dataset.file.array("runs/network")
    drawn: dict[tuple[int, int], list[float]] = {}
    for run in range(dataset.n_runs):
        statistics = dataset.null_models(run, model).get("phase_randomised")
        if statistics is None:
            return {}
        for dimension in range(statistics.shape[1]):
            values = statistics[:, dimension, 0]
            own = drawn.setdefault((int(network[run]), dimension), [])
            own += values[np.isfinite(values)].tolist()
    quantiles = {name: np.quantile(own, (0.025, 0.975)) for name, own in drawn.items() if own}
    return {name: (float(low), float(high)) for name, (low, high) in quantiles.items()}
