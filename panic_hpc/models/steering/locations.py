"""Where a pipeline can be listened to and steered: its layers by location, from a table of classes.

A *location* is a kind of place in a layer: `ca` (cross attention), `ffn` (feed-forward), `block`
(the whole layer's output) of the denoiser, or `text`, the layers of its text encoders. Layers are
counted in the order in which they are called, passes are the denoiser's steps within one picture.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError

LOCATIONS = ("ffn", "ca", "block", "text")
COND, UNCOND = "cond", "uncond"

Halving = Literal["uncond-first", "cond-first", "calls"]
"""Where both halves of guided calls are: in rows of one call, or in two calls, cond first."""

Modules = Iterable[tuple[str, str]]
"""(path, name of its class) of the modules of a part, as torch's `named_modules` has them."""


class LayerStack(BaseModel):
    """Layers of one class below a denoiser; "" where they have no such location."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    under: str
    kind: str = Field(alias="class")
    ca: str = ""
    ffn: str = ""
    output: int | None = None

    def submodule(self, location: str) -> str | None:
        """Return the path of a location from its layer, None where the layer has none of it."""
        if location == "block":
            return ""
        return (self.ca if location == "ca" else self.ffn) or None


class TextLayers(BaseModel):
    """Layers of one text encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: str
    kind: str = Field(alias="class")


class Wiring(BaseModel):
    """What is known of one class of models: pipelines.toml says what each word means.

    Without a `timestep` each call of the denoiser is a tick of the clock. Of layers that are both
    the denoiser's and `text`, those calls are text in which the clock says that no pass has begun.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    denoiser: str
    timestep: str = "timestep"
    halves: Halving
    text_halves: Halving = "calls"
    passes: Literal["steps", "scales", "tokens"] = "steps"
    stacks: tuple[LayerStack, ...]
    text: tuple[TextLayers, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a pipeline that have layers, the denoiser first."""
        return (self.denoiser, *(layers.part for layers in self.text))


class Place(NamedTuple):
    """One module to hook: of which layer and location, in which part, where in its output.

    `output` is None where the output is a tensor itself.
    """

    location: str
    layer: int
    part: str
    module: str
    output: int | None = None


@cache
def wirings() -> Mapping[str, Wiring]:
    """Return the table, by class of pipeline."""
    text = Path(__file__).with_name("pipelines.toml").read_text(encoding="utf-8")
    return {name: Wiring.model_validate(row) for name, row in tomllib.loads(text).items()}


def wiring_of(kind: str, model: str) -> Wiring:
    """Return what is known of a class of pipelines; ModelError where that is nothing."""
    if kind in wirings():
        return wirings()[kind]
    raise ModelError(
        f"{model} is a {kind}, whose layers are not known",
        hint=f"Classes that can be steered: {', '.join(wirings())}",
    )


def places_of(wiring: Wiring, modules: Mapping[str, Modules]) -> tuple[Place, ...]:
    """Return all places of a pipeline, by location and layer; pure.

    `modules` are those of the parts of `wiring`. A layer keeps its number in every location, so
    that `block` 3 is what holds `ca` 3; a location that a layer lacks has no place there.
    """
    found = [*_in_denoiser(wiring, modules.get(wiring.denoiser, ())), *_in_text(wiring, modules)]
    return tuple(sorted(found, key=lambda place: (LOCATIONS.index(place.location), place.layer)))


def _in_denoiser(wiring: Wiring, modules: Modules) -> Iterator[Place]:
    known = list(modules)
    paths = {path for path, _ in known}
    layers = [
        (stack, path)
        for stack in wiring.stacks
        for path, kind in known
        if kind == stack.kind and path.split(".")[0] == stack.under
    ]
    for layer, (stack, path) in enumerate(layers):
        for location in ("ffn", "ca", "block"):
            inner = stack.submodule(location)
            module = f"{path}.{inner}" if inner else path
            if inner is not None and module in paths:
                output = stack.output if location == "block" else None
                yield Place(location, layer, wiring.denoiser, module, output)


def _in_text(wiring: Wiring, modules: Mapping[str, Modules]) -> Iterator[Place]:
    layers = [
        (told.part, path)
        for told in wiring.text
        for path, kind in modules.get(told.part, ())
        if kind == told.kind
    ]
    for layer, (part, path) in enumerate(layers):
        yield Place("text", layer, part, path)


def chosen(
    places: Iterable[Place], location: str, layers: Iterable[int] | None, model: str
) -> tuple[Place, ...]:
    """Return the places of a location in some layers, None for all; ModelError where it lacks."""
    own = {place.layer: place for place in places if place.location == location}
    if not own:
        there = sorted({place.location for place in places}, key=LOCATIONS.index)
        raise ModelError(
            f"{model} has no location {location!r}: it has {', '.join(there) or 'none at all'}"
            + (" (its attention is joint, text and picture together)" if location == "ca" else ""),
            hint="See `panic-hpc steer locations`",
        )
    wanted = list(own) if layers is None else list(layers)
    if unknown := [layer for layer in wanted if layer not in own]:
        raise ModelError(
            f"{model} has no layer {', '.join(map(str, unknown))} at {location}: it has "
            f"{told(own)}",
            hint="See `panic-hpc steer locations`",
        )
    return tuple(own[layer] for layer in wanted)


def told(numbers: Iterable[int]) -> str:
    """Return numbers in words: consecutive ones as `0 to 3`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in spans)
