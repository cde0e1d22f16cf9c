"""Ranking: what came of individuals, by a measure of their runs, by votes, or as a file says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ConfigError, PanicError, nearest
from panic_hpc.evolution.rounds import AskedRuns, Place, Ranked
from panic_hpc.experiment.prompts_file import read_rows
from panic_hpc.planning.manifest import Manifest
from panic_hpc.validation.problems import at_most, shown

if TYPE_CHECKING:
    from panic_hpc.analysis.comparing.arms import Arm
    from panic_hpc.store.dataset.dataset import Dataset
    from panic_hpc.voting.votes import Vote

Values = NDArray[np.float64]
MOST_DIGITS = 9
"""Of a rank that somebody writes."""


@dataclass(frozen=True)
class RunsOfRound:
    """The rows of a round's dataset by network and prompt, and which of its runs failed."""

    rows: Mapping[Place, Sequence[int]]
    has_failed: NDArray[np.bool_]

    def of(self, places: Sequence[Place | None]) -> list[list[int]]:
        """Return the rows of each expression that has a word."""
        return [list(self.rows[place]) for place in places if place is not None]


def runs_of_round(manifest: Manifest, dataset: "Dataset") -> RunsOfRound:
    """Return where the runs of an experiment are in its dataset, by their keys."""
    keys = dataset.file.array("runs/key")
    row_of = {bytes(key).decode(): row for row, key in enumerate(keys)}
    rows: dict[Place, list[int]] = {}
    for run in manifest.runs():
        rows.setdefault((run.network, run.prompt), []).append(row_of[run.key])
    ended = np.array([str(one) for one in dataset.runs()["ended"]])
    return RunsOfRound(rows, ended == "failed")


def by_measure(
    asked: AskedRuns,
    runs: RunsOfRound,
    measured: Values | None,
    descriptors: Sequence[Values] = (),
) -> list[Ranked]:
    """Return what individuals have under a measure: the mean over expressions of their runs' mean.

    `measured` has a value a run, nan where there is none; without it nobody has a value. Runs that
    failed or have none are left out and counted.
    """
    found = []
    for name, places in asked.places.items():
        rows = runs.of(places)
        known = [[row for row in own if not runs.has_failed[row]] for own in rows]
        value = None if measured is None else _mean(measured, known)
        without = sum(runs.has_failed[own].sum() for own in rows)
        if measured is not None:
            without += sum(np.isnan(measured[own]).sum() for own in known)
        found.append(
            Ranked(
                id=name,
                value=value,
                n_runs=sum(map(len, rows)),
                n_failed=int(without),
                n_silent=places.count(None),
                descriptors=tuple(_mean(values, known) for values in descriptors),
            )
        )
    return found


def _mean(values: Values, rows: Sequence[Sequence[int]]) -> float | None:
    means = [np.mean(own) for one in rows if len(own := values[one][np.isfinite(values[one])])]
    return float(np.mean(means)) if means else None


def arms_of_individuals(
    dataset: "Dataset", asked: AskedRuns, runs: RunsOfRound, names: Sequence[str]
) -> "list[Arm]":
    """Return individuals as arms: their expressions pair by their number, and by seed.

    Where several say the same, its runs are the first one's.
    """
    from panic_hpc.analysis.comparing.arms import Arm, Pair

    seeds = dataset.runs()["seed"].to_list()
    taken: set[Place] = set()
    arms = []
    for name in names:
        rows: dict[Pair, int] = {}
        for number, place in enumerate(asked.places[name]):
            if place is not None and place not in taken:
                taken.add(place)
                said = f"expression {number}"
                rows |= {Pair(said, seeds[row]): row for row in runs.rows[place]}
        arms.append(Arm(name, dataset, rows))
    return arms


def by_votes(
    ranked: Sequence[Ranked],
    dataset: "Dataset",
    asked: AskedRuns,
    runs: RunsOfRound,
    votes: "Sequence[Vote]",
) -> list[Ranked]:
    """Return individuals with what votes say of them: from 0 to 1, None where nobody voted.

    Where outputs were compared, the probability to be preferred (Bradley-Terry); else the share of
    likes. An individual that says what another says has the mean of what is said of its outputs.
    """
    from panic_hpc.voting.ranking import rank

    names = [one.id for one in ranked]
    arms = arms_of_individuals(dataset, asked, runs, names)
    found = rank([arm for arm in arms if arm.rows], votes)
    shares = {}
    for one in found.arms:
        likes = one.liking.n_likes / one.liking.n if one.liking.n else float("nan")
        shares[one.name] = one.strength.share if found.n_preferences else likes
    owner: dict[Place, str] = {}
    for name in names:
        for place in filter(None, asked.places[name]):
            owner.setdefault(place, name)
    return [
        replace(one, value=_mean_share([shares[owner[p]] for p in filter(None, own)]))
        for one in ranked
        for own in [asked.places[one.id]]
    ]


def _mean_share(shares: Sequence[float]) -> float | None:
    known = [one for one in shares if np.isfinite(one)]
    return float(np.mean(known)) if known else None


def by_table(ranked: Sequence[Ranked], path: Path) -> list[Ranked]:
    """Return individuals with the ranks in a table as their values, 1 the best: smaller is better.

    The table is a .csv with a column `individual` and perhaps `rank`, without which the order of
    lines ranks; equal ranks are ties, and who is not there has no value. ConfigError with all that
    is wrong in it.
    """
    rows = read_rows(path, ("individual",), ("individual", "rank"))
    names = [row["individual"].strip() for row in rows]
    known = [one.id for one in ranked]
    problems = [f"no individual {shown(one)}. {nearest(one, known)}".rstrip()
                for one in names if one not in known]  # fmt: skip
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    problems += [f"{name} is there twice" for name in twice]
    ranks: dict[str, float] = {}
    for place, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
        told = row.get("rank", str(place)).strip()
        if not told.isdecimal() or len(told) > MOST_DIGITS or int(told) < 1:
            problems.append(f"rank {shown(told)} of {name}: a whole number from 1 was expected")
        else:
            ranks[name] = float(told)
    if problems:
        raise ConfigError(str(path), at_most(problems))
    return [replace(one, value=ranks.get(one.id)) for one in ranked]


def require_some_value(ranked: Sequence[Ranked], what: str, hint: str) -> None:
    """Raise PanicError where no individual has a value: nothing can be bred of that."""
    if all(one.value is None for one in ranked):
        raise PanicError(f"No individual has a value: {what}", hint=hint)
