"""What an experiment may capture of its models, and what is wrong with what it asks for."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from panic_hpc.experiment.config import Experiment, Listed, ModelNames
from panic_hpc.experiment.entries import distinct_names, filled
from panic_hpc.models.steering.outline import can_be_steered, families_that_can
from panic_hpc.types import IMAGE, TEXT, ModelSpec

Location = Literal["ffn", "ca", "block", "text"]


class ActivationsSettings(BaseModel):
    """The models that are listened to, and where: `capture` is short for `stages.activations`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    models: Annotated[ModelNames, AfterValidator(filled)]
    locations: Annotated[
        tuple[Location, ...],
        Listed,
        Field(max_length=4),
        AfterValidator(filled),
        AfterValidator(distinct_names),
    ] = ("ca", "ffn", "text")


def problems_of(experiment: Experiment, specs: Mapping[str, ModelSpec]) -> list[str]:
    """Return a line for everything that keeps models from being listened to."""
    names = experiment.stage_models.get("activations", ())
    return [
        f"capture.models[{index}] = {name!r}: {problem}"
        for index, name in enumerate(names)
        if (spec := specs.get(name))
        for problem in _problems(spec, experiment)
    ]


def _problems(spec: ModelSpec, experiment: Experiment) -> Iterator[str]:
    networks: Any = [network.models[: experiment.max_length] for network in experiment.networks]
    if not can_be_steered(spec) or spec.produces != IMAGE:
        yield f"its layers cannot be listened to; picture models of {families_that_can()} can"
    elif not any(spec.name in models for models in networks):
        yield "no network has it, so that there is nothing to make again"
    elif "steering" in spec.settings:
        yield "it is steered; capture the model without its steering table"
    elif spec.consumes != TEXT and experiment.images.keep_every != 1:
        yield "images.keep_every: it reads pictures, so keep every one"
