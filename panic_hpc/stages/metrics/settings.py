"""What an experiment may say of its metrics, and what is wrong with those that it names."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from panic_hpc import installed
from panic_hpc.experiment.config import Experiment, ModelNames
from panic_hpc.keys import content_key
from panic_hpc.models.base import family_of
from panic_hpc.models.metric_settings import FIRST, INPUT, NOTHING, PREVIOUS, PROMPT, ROLE
from panic_hpc.models.settings import settings_of
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.types import IMAGE, SCORE, TEXT, Modality, ModelSpec

Specs = Mapping[str, ModelSpec]


class MetricsSettings(BaseModel):
    """The metrics by their names among the models; `metrics = ["clip"]` is short for the table."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    models: ModelNames = ()

    @model_validator(mode="before")
    @classmethod
    def _of_a_list(cls, value: Any) -> Any:
        return {"models": value} if isinstance(value, list | tuple) else value


def against_of(spec: ModelSpec) -> str:
    """Return what a metric judges outputs against."""
    return str(spec.settings.get("against", NOTHING))


def compared_by(spec: ModelSpec) -> Modality:
    """Return the modality of what a metric judges outputs against, "" for nothing."""
    family = family_of(installed.plugins("families"), spec)
    return str(family.compared(settings_of(spec, family.settings)))


def problems_of(experiment: Experiment, names: tuple[str, ...], specs: Specs) -> list[str]:
    """Return a line for everything that keeps metrics from scoring what the networks make."""
    problems: list[str] = []
    seen: dict[str, str] = {}
    for index, name in enumerate(names):
        spec = specs.get(name)
        if spec is None:
            continue
        place = f"{METRICS}[{index}] = {name!r}"
        twin = seen.setdefault(content_key(spec.identity()), name)
        if twin != name:
            problems.append(f"{place}: the same metric as {twin!r}; remove one")
        elif spec.produces != SCORE:
            problems.append(f"{place}: turns {spec.consumes} into {spec.produces}; it is no metric")
        else:
            problems += [f"{place}: {problem}" for problem in _problems(spec, experiment, specs)]
    return problems


def _problems(spec: ModelSpec, experiment: Experiment, specs: Specs) -> Iterator[str]:
    links = list(_links(experiment, specs))
    # What is not known is told already, and nothing follows from it.
    if any(given is None or made is None for given, made in links):
        return
    inputs = {given for given, made in links if made == spec.consumes}
    if not inputs:
        made = ", ".join(sorted({str(made) for _, made in links}))
        yield f"nothing to score; it takes {spec.consumes}, the runs make {made}"
        return
    compared = compared_by(spec)
    if against_of(spec).startswith(ROLE):
        yield from _role_problems(against_of(spec), compared, experiment)
    else:
        yield from _against_problems(spec, compared, inputs)
    if spec.consumes == IMAGE and _needs_all(spec, experiment):
        every = experiment.images.keep_every
        yield f"images.keep_every = {every}: it needs every picture, so keep every one"


def _links(
    experiment: Experiment, specs: Specs
) -> Iterator[tuple[Modality | None, Modality | None]]:
    """Yield (what it is made of, what is made) for each model that runs reach."""
    for network in experiment.networks:
        for name in network.models[: experiment.max_length]:
            spec = specs.get(name)
            yield (spec.consumes, spec.produces) if spec else (None, None)


def _against_problems(
    spec: ModelSpec, compared: Modality, inputs: set[Modality | None]
) -> Iterator[str]:
    against = against_of(spec)
    there: dict[str, set[Modality | None]] = {
        NOTHING: {""},
        INPUT: inputs,
        PREVIOUS: {spec.consumes},
        FIRST: {spec.consumes},
        PROMPT: {TEXT},
    }
    place = f'against = "{against}"'
    if compared not in there[against]:
        found = " or ".join(sorted(str(one) for one in there[against]))
        yield f"{place}: it judges against {compared or 'nothing'}, and that is {found}"


def _role_problems(against: str, compared: Modality, experiment: Experiment) -> Iterator[str]:
    place = f'against = "{against}"'
    roles = [role for prompt in experiment.prompts[:1] for role, _ in prompt.pictures]
    if not roles:
        yield f"{place}: no such role; the prompts of this experiment are texts without pictures"
    elif against.removeprefix(ROLE) not in roles:
        yield f"{place}: no such role; inputs has {' and '.join(roles)}"
    elif compared != IMAGE:
        yield f"{place}: it judges against {compared or 'nothing'}, and that is image"


def _needs_all(spec: ModelSpec, experiment: Experiment) -> bool:
    is_series = against_of(spec) in (PREVIOUS, FIRST)
    return experiment.images.keep_every == 0 or (is_series and experiment.images.keep_every > 1)
