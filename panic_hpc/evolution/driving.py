"""Driving a series: express, plan, submit, merge, rank, breed, round after round.

A round follows from the series and the rounds before it alone. Everything that was bred, asked or
found is in a file before the next step begins, and a step that finds its file does nothing: whoever
kills a driver anywhere and types its command again goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from panic_hpc.backends.base import SubmitRequest, Watcher
from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.errors import PanicError
from panic_hpc.evolution.genome import Individual, Population, population_of
from panic_hpc.evolution.judging import ranking_of
from panic_hpc.evolution.rounds import (
    BRED,
    CONTROL,
    AskedRuns,
    GenerationPaths,
    Ranking,
    asked_of,
    everybody_of,
    generation_of,
    next_generation,
)
from panic_hpc.evolution.series_file import SeriesPlan
from panic_hpc.search.driving import completed
from panic_hpc.search.rehearsal import rehearse
from panic_hpc.search.rounds import kept
from panic_hpc.validation.problems import explained
from panic_hpc.validation.record import read_record
from panic_hpc.workspace.workspace import Workspace

Tell = Callable[[str], None]
Complete = Callable[[GenerationPaths, SubmitRequest, "bool | Watcher"], Workspace]
"""Plans, submits and merges the experiment of a round."""


@dataclass(frozen=True)
class Generation:
    """A round as far as it has come: its individuals by arm, and what came of them, if known."""

    number: int
    people: dict[str, tuple[Individual, ...]]
    ranking: Ranking | None


def start(root: Path, plan: SeriesPlan) -> Generation:
    """Begin a series in `root`, or find it there; write its first population and experiment.

    Nothing runs. PanicError where another series lies there: only `rounds` may change; ConfigError,
    and nothing is written, where its first round cannot be planned or gives no such measure.
    """
    path = root / "series.json"
    if not path.exists():
        _rehearse(root, plan)
    make_any_directory(root / "rounds")
    own = plan.model_dump(mode="json")
    found = kept(path, own)
    if _without_rounds(found) != _without_rounds(own):
        raise PanicError(
            f"{root} holds another series, or its file was changed since",
            hint="Name another directory; only `rounds` may change",
        )
    if found != own:
        replace_file(path, to_json(own))
    paths = GenerationPaths(root, 0)
    people = _populations(paths, plan, [])
    _experiment(paths, plan, people)
    return Generation(0, people, None)


def _rehearse(root: Path, plan: SeriesPlan) -> None:
    people = {arm: plan.population.individuals for arm in arms_of(plan)}
    table = generation_of(plan, asked_of(plan, everybody_of(people), 0), 0)
    measures = filter(None, (plan.series.measure, *plan.series.descriptors))
    rehearse(root, table, measures, "the series")


def _without_rounds(value: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("series"), dict):
        return value
    series = {key: one for key, one in value["series"].items() if key != "rounds"}
    return {**value, "series": series}


def read_plan(root: Path) -> SeriesPlan:
    """Return the series in `root`; PanicError where there is none."""
    path = root / "series.json"
    if not path.exists():
        raise PanicError(
            f"{root} holds no series", hint=f"panic-hpc series start SERIES.toml {root}"
        )
    try:
        return SeriesPlan.model_validate(read_json(path))
    except ValidationError as error:
        told = "; ".join(explained(error, ())[:3])
        raise PanicError(f"{path} is not what it should be: {told}") from None


def history(root: Path, plan: SeriesPlan) -> list[Generation]:
    """Return the rounds that were begun, in order."""
    found = []
    for number in begun(root, plan):
        path = GenerationPaths(root, number).ranking
        people = people_of(root, plan, number)
        ranking = _read_ranking(path, people) if path.exists() else None
        found.append(Generation(number, people, ranking))
    return found


def _read_ranking(path: Path, people: Mapping[str, Sequence[Individual]]) -> Ranking:
    """Return a round's ranking; PanicError, naming it, where it is not one of these individuals."""
    ranking = read_record(Ranking, path)
    for arm, own in people.items():
        if sorted(one.id for one in ranking.of(arm)) != sorted(one.id for one in own):
            raise PanicError(
                f"{path} is not what it should be: it ranks others than those of its round",
                hint=f"Remove it: panic-hpc series advance {path.parent.parent} makes it again",
            )
    return ranking


def begun(root: Path, plan: SeriesPlan) -> list[int]:
    """Return the numbers of rounds whose individuals are known; all but the last are ranked."""
    found: list[int] = []
    for number in range(plan.series.rounds):
        paths = GenerationPaths(root, number)
        if not all(paths.population(arm).exists() for arm in arms_of(plan)):
            break
        found.append(number)
        if not paths.ranking.exists():
            break
    return found


def people_of(root: Path, plan: SeriesPlan, number: int) -> dict[str, tuple[Individual, ...]]:
    """Return the individuals of a round by arm, as they were written down."""
    return {arm: _read_people(GenerationPaths(root, number), arm) for arm in arms_of(plan)}


def arms_of(plan: SeriesPlan) -> tuple[str, ...]:
    """Return the populations of a series: the bred one, and the control where it has one."""
    return (BRED, CONTROL) if plan.series.control else (BRED,)


def advance(
    root: Path,
    plan: SeriesPlan,
    request: SubmitRequest,
    *,
    most_rounds: int | None = None,
    progress: bool | Watcher = False,
    tell: Tell = lambda text: None,
    complete: Complete = completed,
) -> list[Generation]:
    """Go on with the series in `root`, at most `most_rounds` rounds, and return all rounds.

    PanicError where a round cannot be completed; Waiting where people have to rank it first. Typed
    again it goes on from there.
    """
    rounds = [GenerationPaths(root, number) for number in range(plan.series.rounds)]
    left = [paths for paths in rounds if not paths.ranking.exists()]
    for paths in left[:most_rounds]:
        people = _populations(paths, plan, history(root, plan)[: paths.number])
        tell(f"round {paths.number + 1} of {len(rounds)}: {len(people[BRED])} individuals")
        asked = _experiment(paths, plan, people)
        workspace = complete(paths, request, progress)
        kept(paths.ranking, asdict(ranking_of(paths, plan, people, asked, workspace)))
    return history(root, plan)


def _populations(
    paths: GenerationPaths, plan: SeriesPlan, before: Sequence[Generation]
) -> dict[str, tuple[Individual, ...]]:
    """Return the individuals of a round, written down first where they were not."""
    for arm in arms_of(plan):
        path = paths.population(arm)
        if not path.exists():
            people = _bred(plan, arm, before, paths.number)
            value = plan.population.model_copy(update={"individuals": people})
            kept(path, value.model_dump(mode="json"))
    return people_of(paths.root, plan, paths.number)


def _bred(
    plan: SeriesPlan, arm: str, before: Sequence[Generation], number: int
) -> tuple[Individual, ...]:
    if number == 0:
        return plan.population.individuals
    known = [(one.people[arm], one.ranking.of(arm)) for one in before if one.ranking]
    return next_generation(plan, arm, known, number)


def _read_people(paths: GenerationPaths, arm: str) -> tuple[Individual, ...]:
    path = paths.population(arm)
    population: Population = population_of(read_json(path), str(path))
    return population.individuals


def _experiment(
    paths: GenerationPaths, plan: SeriesPlan, people: dict[str, tuple[Individual, ...]]
) -> AskedRuns:
    """Return what a round runs; its experiment's file is written where it was not."""
    asked = asked_of(plan, everybody_of(people), paths.number)
    table = generation_of(plan, asked, paths.number)
    # What was run is attributed by its number: were it other texts, to others than said them.
    if kept(paths.file, table) != json.loads(to_json(table)):
        raise PanicError(
            f"{paths.file} does not follow from its population",
            hint="It was edited, or begun with another numpy: go on with that one, or start anew",
        )
    return asked
