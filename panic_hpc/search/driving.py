"""Driving a search: ask, plan, submit, merge, measure, tell, round after round.

Everything that was asked and found is in a file before the next step begins, and a step that finds
its file does nothing: whoever kills a driver anywhere and types its command again goes on.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc import api
from panic_hpc.backends.base import SubmitRequest, Watcher
from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.files import to_json
from panic_hpc.errors import PanicError
from panic_hpc.plain_text import counted
from panic_hpc.search.rehearsal import rehearse
from panic_hpc.search.rounds import (
    AskedTrials,
    FoundValues,
    RoundPaths,
    Settings,
    experiment_of,
    kept,
    read_record_of,
    values_of_trials,
)
from panic_hpc.search.sampling import next_trials
from panic_hpc.search.search_file import Choice, Search
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.workspace.status import Status
from panic_hpc.workspace.workspace import Workspace

Tell = Callable[[str], None]

MOST_SUBMISSIONS = 3
"""Of one round: what is lost every time is not the driver's doing."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried: in which round, with which settings; its value is None where it has none."""

    round: int
    number: int
    settings: Settings
    value: float | None


def advance(
    root: Path,
    search: Search,
    base: dict[str, Any],
    request: SubmitRequest,
    *,
    progress: bool | Watcher = False,
    tell: Tell = lambda text: None,
) -> list[Trial]:
    """Go on with the search in `root` to its end, and return all trials in order.

    PanicError where another search lies there, or a round cannot be completed: typed again it goes
    on from there. ConfigError, and nothing is written, where its first round cannot be planned or
    gives no such measure.
    """
    if not (root / "search.json").exists():
        table = experiment_of(base, 0, next_trials(search, 0, []))
        rehearse(root, table, [search.measure], "the search")
    make_any_directory(root / "rounds")
    _require_same(root, search, base)
    found: list[Trial] = []
    for number in range(search.rounds):
        paths = RoundPaths(root, number)
        before = [(trial.settings, trial.value) for trial in found]
        if not paths.trials.exists():
            kept(paths.trials, {"trials": next_trials(search, number, before)})
        trials = _asked(paths, search)
        _require_own_experiment(paths, experiment_of(base, number, trials))
        if not paths.values.exists():
            tell(f"round {number + 1} of {search.rounds}: {len(trials)} trials")
            _work(paths, search, trials, request, progress, tell)
        values = _found(paths, len(trials))
        found += [
            Trial(number, len(found) + k, settings, value)
            for k, (settings, value) in enumerate(zip(trials, values, strict=True))
        ]
    return found


def best_first(search: Search, trials: list[Trial]) -> list[Trial]:
    """Return trials, the best first and those without a value last, equal ones as they came."""
    sign = -1.0 if search.maximise else 1.0
    return sorted(trials, key=lambda one: np.inf if one.value is None else sign * one.value)


def _require_same(root: Path, search: Search, base: dict[str, Any]) -> None:
    # More rounds of the same search go on where it ended.
    own = {"search": search.model_dump(mode="json", exclude={"rounds"}), "experiment": base}
    if kept(root / "search.json", own) != own:
        raise PanicError(
            f"{root} holds another search, or its file was changed since",
            hint="Name another directory; only `rounds` may change",
        )


def _asked(paths: RoundPaths, search: Search) -> tuple[dict[str, Choice], ...]:
    """Return the trials of a round as they were written down; PanicError where they are others."""
    trials: tuple[dict[str, Choice], ...] = read_record_of(AskedTrials, paths.trials).trials
    if not trials or any(one.keys() != search.space.keys() for one in trials):
        raise PanicError(
            f"{paths.trials} is not what it should be: trials of {', '.join(search.space)}",
            hint="It was edited: put it back, or search in another directory",
        )
    return trials


def _require_own_experiment(paths: RoundPaths, table: Any) -> None:
    # Values go to trials by their number: were it another, to settings that were never tried.
    if kept(paths.file, table) != json.loads(to_json(table)):
        raise PanicError(
            f"{paths.file} does not follow from {paths.trials.name}",
            hint="One of them was edited: put it back, or search in another directory",
        )


def _found(paths: RoundPaths, n_trials: int) -> tuple[float | None, ...]:
    """Return what a round's trials gave; PanicError where it is of others."""
    values: tuple[float | None, ...] = read_record_of(FoundValues, paths.values).values
    if len(values) != n_trials:
        raise PanicError(
            f"{paths.values} has {counted(len(values), 'value')} for {counted(n_trials, 'trial')}",
            hint="Remove it and type this command again: it is measured anew",
        )
    return values


def _work(
    paths: RoundPaths,
    search: Search,
    trials: tuple[dict[str, Any], ...],
    request: SubmitRequest,
    progress: bool | Watcher,
    tell: Tell,
) -> None:
    """Plan, submit and merge a round, and write down what came of it."""
    workspace = completed(paths, request, progress, tell)
    means = _means(workspace.paths.dataset, search.measure)
    kept(paths.values, {"values": values_of_trials(trials, means)})


def completed(
    paths: RoundPaths,
    request: SubmitRequest,
    progress: bool | Watcher,
    tell: Tell = lambda text: None,
) -> Workspace:
    """Plan, submit and merge the experiment of a round; PanicError where that leaves something.

    What jobs lost is submitted again, which is told, as those of a driver are that was killed
    before it wrote down what sbatch told it; what failed is not.
    """
    workspace = api.plan(paths.file, paths.experiment)
    for attempt in range(1, MOST_SUBMISSIONS + 1):
        api.submit(workspace, request, wait=True, progress=progress)
        state = api.wait(workspace)
        if state.is_complete:
            return workspace
        if not goes_on(state) or attempt == MOST_SUBMISSIONS:
            break
        n_left = sum(one.state != "completed" for one in state.all())
        left = f"{paths.experiment} has {counted(n_left, 'shard')} left"
        tell(f"{left}: submitted again, time {attempt + 1} of {MOST_SUBMISSIONS}")
    raise PanicError(
        f"{paths.experiment} is not complete",
        hint=f"panic-hpc status {paths.experiment} says why; then type this command again",
    )


def goes_on(state: Status) -> bool:
    """Say whether another submission may complete an experiment: something is left, none failed."""
    states = {one.state for one in state.all() if not (one.state == "failed" and one.disk)}
    return "failed" not in states and not states.isdisjoint(("eligible", "lost"))


def _means(dataset: Path, name: str) -> list[float | None]:
    """Return the mean of each network under a measure, None where no run has a value."""
    from panic_hpc.analysis.comparing.arms import all_arms
    from panic_hpc.analysis.comparing.comparison import compare

    with open_dataset(dataset) as opened:
        arms = all_arms([opened])
        found = compare(arms, arms[0], name).arms
    return [one.mean if np.isfinite(one.mean) else None for one in found]
