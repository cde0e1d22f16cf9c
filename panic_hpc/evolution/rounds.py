"""Rounds of a series: from populations to an experiment, and where all of it lies; pure.

S/series.json                 the series, its base experiment and its founders
S/rounds/000.population.json  who is bred, and 000.control.json, who is bred by chance alone
S/rounds/000.experiment.json  the experiment that follows from them
S/rounds/000/                 that experiment, as any other
S/rounds/000.ranking.json     what came of each individual, written when it is merged
S/rounds/000.ranking.csv      what somebody says of them, where they are ranked by a file
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from panic_hpc.errors import PanicError
from panic_hpc.evolution.archive import Specimen, archive_of
from panic_hpc.evolution.breeding import bred
from panic_hpc.evolution.expression import Expression, expressed, generator
from panic_hpc.evolution.genome import Individual, Settings
from panic_hpc.evolution.series_file import CHILDREN, SeriesPlan, model_and_path
from panic_hpc.keys import canonical_json
from panic_hpc.paths import ExperimentPaths
from panic_hpc.search.rounds import RoundPaths
from panic_hpc.search.search_file import models_of

BRED, CONTROL = CHILDREN
Place = tuple[int, int]
"""A network of a round's experiment, and a prompt of it."""


@dataclass(frozen=True, slots=True)
class GenerationPaths(RoundPaths):
    """Where a round of a series lies."""

    def population(self, arm: str) -> Path:
        """The individuals of the bred population, or of the control."""
        return self._beside(".population.json" if arm == BRED else ".control.json")

    @property
    def ranking(self) -> Path:
        """What came of each."""
        return self._beside(".ranking.json")

    @property
    def table(self) -> Path:
        """What somebody says of them."""
        return self._beside(".ranking.csv")

    @property
    def dataset(self) -> Path:
        """What its experiment is merged to."""
        return ExperimentPaths(self.experiment).dataset

    def attempt(self, number: int) -> Path:
        """What was submitted for it, from 1."""
        return self._beside(f".try-{number}.json")


@dataclass(frozen=True, slots=True)
class Ranked:
    """What came of an individual.

    value: of the measure, the mean over its expressions; None where no run of them has one.
    n_runs, n_failed: its runs, each counted for each expression that is it, and those without.
    n_silent: expressions without a word, which have no run.
    descriptors: values of the archive's measures.
    """

    id: str
    value: float | None
    n_runs: int
    n_failed: int
    n_silent: int
    descriptors: tuple[float | None, ...]


@dataclass(frozen=True)
class Ranking:
    """A round's individuals by what came of them, the best first, and the dataset that says so."""

    content_key: str
    bred: tuple[Ranked, ...]
    control: tuple[Ranked, ...]

    def of(self, arm: str) -> tuple[Ranked, ...]:
        """Return the bred population, or the control."""
        return self.bred if arm == BRED else self.control


@dataclass(frozen=True, slots=True)
class AskedRuns:
    """What a round runs.

    prompts: each once. cells: combinations of settings, each once, in order of appearance.
    places: where each expression of an individual is run, by its id; None for one without a word.
    """

    prompts: tuple[str, ...]
    cells: tuple[Settings, ...]
    places: Mapping[str, tuple[Place | None, ...]]

    def prompts_of(self, cell: int) -> list[int]:
        """Return the numbers of the prompts that are run with a combination of settings."""
        own = {p for places in self.places.values() for c, p in filter(None, places) if c == cell}
        return sorted(own)


def expressions_of(plan: SeriesPlan, individual: Individual, number: int) -> list[Expression]:
    """Return what an individual says and sets in a round, whoever else is in it."""
    own = plan.series.breeding
    purpose = f"expression {individual.id}"
    return [
        expressed(
            individual,
            plan.population.chromosomes,
            generator(purpose, plan.series.seed, number, k),
            perturbation=own.perturbation,
            wording=own.wording,
        )
        for k in range(own.expressions)
    ]


def spoken_of(plan: SeriesPlan, individual: Individual, number: int) -> Expression:
    """Return the first expression of an individual that says a word, its first where none does."""
    found = expressions_of(plan, individual, number)
    return next((one for one in found if one.text.strip()), found[0])


def everybody_of(people: Mapping[str, Sequence[Individual]]) -> list[Individual]:
    """Return the individuals of all arms, once each: founders and elite are in several."""
    return list({one.id: one for own in people.values() for one in own}.values())


def asked_of(plan: SeriesPlan, individuals: Iterable[Individual], number: int) -> AskedRuns:
    """Return what a round runs: individuals that say the same share its runs."""
    prompts: dict[str, int] = {}
    cells: dict[str, tuple[int, Settings]] = {}
    places: dict[str, tuple[Place | None, ...]] = {}
    for individual in individuals:
        own: list[Place | None] = []
        for one in expressions_of(plan, individual, number):
            if not one.text.strip():
                own.append(None)
                continue
            cell, _ = cells.setdefault(canonical_json(one.settings), (len(cells), one.settings))
            own.append((cell, prompts.setdefault(one.text, len(prompts))))
        places[individual.id] = tuple(own)
    if not prompts:
        raise PanicError(
            f"Nobody says a word in round {number}",
            hint="Raise breeding.founder_density, or give the population founders",
        )
    return AskedRuns(tuple(prompts), tuple(settings for _, settings in cells.values()), places)


def generation_of(plan: SeriesPlan, asked: AskedRuns, number: int) -> dict[str, Any]:
    """Return the table of a round's experiment: a network for each combination of settings."""
    (network,) = plan.experiment["networks"]
    models = dict(plan.experiment.get("models", {}))
    networks = []
    for place, settings in enumerate(asked.cells):
        names = _with_cell(models, models_of(network), settings, f"{number}-{place}")
        told = dict(network) if isinstance(network, dict) else {}
        if len(asked.cells) > 1:
            told["prompts"] = asked.prompts_of(place)
        networks.append({**told, "models": names})
    tables = {"models": models} if models else {}
    return {**plan.experiment, **tables, "networks": networks, "prompts": list(asked.prompts)}


def _with_cell(
    models: dict[str, Any], known: list[str], settings: Settings, label: str
) -> list[str]:
    """Add the models that settings make to `models`, and return the network's names for them."""
    renamed: dict[str, str] = {}
    for name, value in settings.items():
        found = model_and_path(name, known)
        if found is None:
            raise PanicError(f"{name!r} is no setting of a model of the network")
        model, path = found
        renamed[model] = f"{model}.cell-{label}"
        own = models.get(renamed[model], {"base": model})
        models[renamed[model]] = _with_setting(own, models.get(model, {}), path, value)
    return [renamed.get(name, name) for name in known]


def _with_setting(own: Any, base: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a table with one setting changed; a table within it begins as its base's."""
    key, *inner = path
    if not inner:
        return {**own, key: value}
    begun = own.get(key, base.get(key, {}))
    return {**own, key: _with_setting(begun, {}, inner, value)}


def next_generation(
    plan: SeriesPlan,
    arm: str,
    before: Sequence[tuple[Sequence[Individual], Sequence[Ranked]]],
    number: int,
) -> tuple[Individual, ...]:
    """Return round `number` of an arm, from the rounds before it: individuals and ranking of each.

    Pure. The control is bred by chance whatever the series says.
    """
    how = plan.series.breeding.how
    if arm == CONTROL:
        how = replace(how, selection="random")
    _, ranking = before[-1]
    by_id = {one.id: one for people, _ in before for one in people}
    pool = [by_id[one.id] for one in ranking]
    archive = plan.series.archive
    if archive and archive.parents and arm == BRED:
        kept = best_of_each_kind(plan, [own for _, own in before])
        pool = [by_id[one.id] for one in kept] or pool
    if len(pool) < max(2, how.parents_per_child):
        pool = [by_id[one.id] for one in ranking]
    return bred(pool, plan.population.chromosomes, how, plan.series.seed, number, arm)


def best_of_each_kind(plan: SeriesPlan, rankings: Sequence[Sequence[Ranked]]) -> list[Specimen]:
    """Return the archive's individuals, the best first."""
    sign = 1.0 if plan.series.maximise else -1.0
    seen = [
        Specimen(
            one.id, number, place, None if one.value is None else sign * one.value, one.descriptors
        )
        for number, ranking in enumerate(rankings)
        for place, one in enumerate(sorted(ranking, key=lambda one: one.id))
    ]
    kept = archive_of(seen, list(plan.series.descriptors.values())).values()
    return sorted(kept, key=lambda one: (-(one.fitness or 0.0), one.round, one.place))


def best_first(ranked: Iterable[Ranked], *, maximise: bool) -> tuple[Ranked, ...]:
    """Return individuals, the best first, those without a value last; ties go by id."""
    sign = -1.0 if maximise else 1.0
    return tuple(
        sorted(ranked, key=lambda one: (one.value is None, sign * (one.value or 0.0), one.id))
    )
