"""The file of a series: an experiment without prompts, a population, how it is ranked and bred.

experiment = "base.toml"
population = "founders.toml"
measure = "scene.red"
rounds = 6

[breeding]
size = 32
parents = 8
mutation_rate = 0.02
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from panic_hpc.errors import ConfigError, nearest
from panic_hpc.evolution.breeding import Breeding, Selection, founders
from panic_hpc.evolution.captions import founders_of
from panic_hpc.evolution.expression import SLOT, Wording
from panic_hpc.evolution.genome import Individual, Population, read_population
from panic_hpc.experiment.config import Listed
from panic_hpc.experiment.tables import read_table
from panic_hpc.search.search_file import OF_TWO, base_experiment, models_of
from panic_hpc.validation.closed import Closed
from panic_hpc.validation.problems import at_most, explained, shown

PROMPT_KEYS = ("prompts", "prompts_file", "inputs")
CHILDREN = ("r", "c")
"""What names of children begin with, of the bred population and of the control."""

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=1, le=10_000)]


class BreedingSettings(Closed):
    """How a population follows from the one before; `Breeding` says what most of it means.

    expressions    texts (and settings) of an individual a round
    perturbation   the standard deviation of what is added to likelihoods of expression
    separator      what stands between words
    template       what a text is put into, at {}
    founder_copies, founder_density  of founders by chance, where the population has none: copies,
                   and the share of loci that are on
    """

    size: Number = 32
    parents: Number = 8
    parents_per_child: Annotated[int, Field(ge=1, le=16)] = 2
    selection: Selection = "softmax"
    temperature: Annotated[float, Field(gt=0, le=1e6)] = 2.0
    mutation_rate: Share = 0.02
    crossover_rate: Share = 0.0
    elite: Annotated[int, Field(ge=0, le=10_000)] = 0
    expressions: Annotated[int, Field(ge=1, le=1000)] = 4
    perturbation: Annotated[float, Field(ge=0, le=10)] = 0.0
    separator: Annotated[str, Field(max_length=20)] = ", "
    template: Annotated[str, Field(max_length=10_000)] = SLOT
    founder_copies: Annotated[int, Field(ge=1, le=16)] = 2
    founder_density: Share = 0.25

    @property
    def how(self) -> Breeding:
        """How children are made."""
        own = {name: getattr(self, name) for name in Breeding.__dataclass_fields__}
        return Breeding(**own)

    @property
    def wording(self) -> Wording:
        """How texts are made of words."""
        return Wording(self.separator, self.template)


class ArchiveSettings(Closed):
    """An archive of the best of each kind.

    descriptors  measures that say the kind, and the limits between its cells
    parents      whether parents are drawn from it, the best first, and not from the last round
    """

    descriptors: dict[str, Annotated[tuple[float, ...], Listed, Field(max_length=100)]] = Field(
        min_length=1, max_length=4
    )
    parents: bool = False


class Series(Closed):
    """A series.

    experiment  the file of the experiment whose prompts are bred, from where this file is
    population  the file of chromosomes and founders, likewise
    measure     one number a run (docs/evaluate.md), for rank = "measure"
    rank        "measure"; "votes" of people; or "file", a table that somebody writes each round
    maximise    whether more is better
    rounds      experiments, the founders' first
    seed        of all chance
    control     whether a second population is bred beside it by chance alone, of the same founders
    """

    experiment: str
    population: str
    measure: str = ""
    rank: Literal["measure", "votes", "file"] = "measure"
    maximise: bool = True
    rounds: Annotated[int, Field(ge=1, le=1000)] = 6
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    control: bool = True
    breeding: BreedingSettings = BreedingSettings()
    archive: ArchiveSettings | None = None

    @property
    def descriptors(self) -> Mapping[str, tuple[float, ...]]:
        """The measures that say an individual's kind, and their limits."""
        return self.archive.descriptors if self.archive else {}


class SeriesPlan(Closed):
    """A series, its base experiment, and its founders: all that its rounds follow from."""

    series: Series
    experiment: dict[str, Any]
    population: Population


_KEYS = (*Series.model_fields, *BreedingSettings.model_fields, *ArchiveSettings.model_fields)


def read_series(
    path: Path, captions: Sequence[str] | None = None, *, seed: int | None = None
) -> SeriesPlan:
    """Return the series in a file, with what it refers to; ConfigError with all that is wrong.

    With `captions` founders are what these say of the population's loci; else the population's own;
    else, where it has none, as many as a round has, by chance. `seed` goes before the file's.
    """
    table = read_table(path)
    try:
        series = Series.model_validate(table)
    except ValidationError as error:
        raise ConfigError(str(path), at_most(explained(error, (), _KEYS))) from None
    if seed is not None:
        series = series.model_copy(update={"seed": seed})
    experiment = base_experiment(path.parent / series.experiment)
    population = read_population(path.parent / series.population)
    if captions is not None:
        said = founders_of(captions, population.chromosomes)
        if not said:
            raise ConfigError(str(path), ["no caption says a word of the population's loci"])
        population = population.model_copy(update={"individuals": said})
    if problems := list(_problems(series, experiment, population)):
        raise ConfigError(str(path), at_most(problems))
    if not population.individuals:
        own = series.breeding
        drawn = founders(
            population.chromosomes, own.size, own.founder_copies, own.founder_density, series.seed
        )
        population = population.model_copy(update={"individuals": drawn})
    return SeriesPlan(series=series, experiment=experiment, population=population)


def _problems(
    series: Series, experiment: Mapping[str, Any], population: Population
) -> Iterator[str]:
    yield from _breeding_problems(series.breeding, len(population.individuals))
    yield from _ranking_problems(series)
    for key in PROMPT_KEYS:
        if key in experiment:
            yield f"experiment = {series.experiment!r}: it has {key}, and prompts are bred here"
    networks = experiment.get("networks")
    if not isinstance(networks, list) or len(networks) != 1:
        yield f"experiment = {series.experiment!r}: one network was expected"
    else:
        yield from _setting_problems(population, models_of(networks[0]))
    if not any(not one.settings for one in population.chromosomes):
        yield f"population = {series.population!r}: no chromosome has words"
    if taken := [one for one in population.individuals if _is_childs(one)]:
        yield f"individuals.{taken[0].id}: names such as r1-000 and c1-000 are children's"


def _is_childs(one: Individual) -> bool:
    head, _, tail = one.id.partition("-")
    return head[:1] in CHILDREN and head[1:].isdecimal() and tail.isdecimal()


def _breeding_problems(own: BreedingSettings, n_founders: int) -> Iterator[str]:
    if own.elite > own.size:
        yield f"breeding.elite = {own.elite}: at most size, {own.size}, was expected"
    fewest = max(2, own.parents_per_child)
    if own.parents < fewest:
        yield f"breeding.parents = {own.parents}: at least {fewest} were expected"
    if 0 < n_founders < max(fewest, own.elite):
        yield f"population: {n_founders} founders; at least {max(fewest, own.elite)} are needed"
    if own.size < fewest:
        yield f"breeding.size = {own.size}: at least {fewest} was expected"
    if own.template.count(SLOT) != 1:
        yield f"breeding.template = {shown(own.template)}: {SLOT} was expected in it, once"


def _ranking_problems(series: Series) -> Iterator[str]:
    if (series.rank == "measure") != bool(series.measure):
        yield f'rank = {series.rank!r}: a measure goes with rank = "measure", and only with it'
    for name in (series.measure, *series.descriptors):
        if name.partition(".")[0] in OF_TWO:
            yield f"measure {name!r}: one of runs alone was expected"
    for name, limits in series.descriptors.items():
        if list(limits) != sorted(set(limits)):
            yield f"archive.descriptors.{name}: limits were expected in ascending order"


def _setting_problems(population: Population, known: list[str]) -> Iterator[str]:
    for chromosome in population.chromosomes:
        for name in dict.fromkeys(key for one in chromosome.settings.values() for key in one):
            if not model_and_path(name, known):
                hint = nearest(name.partition(".")[0], known)
                place = f"chromosomes.{chromosome.name}.settings"
                yield f"{place}: {name!r}: MODEL.SETTING of the network was expected. {hint}"


def model_and_path(name: str, known: list[str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the model of MODEL.SETTING (or MODEL.TABLE.SETTING) and the way to it; None of none.

    Names of models may have dots: the longest that fits is meant.
    """
    fitting = [model for model in known if name.startswith(f"{model}.")]
    model = max(fitting, key=len, default="")
    path = tuple(name[len(model) + 1 :].split("."))
    return (model, path) if model and all(path) else None
