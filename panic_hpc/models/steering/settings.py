"""The `steering` table of a picture model: from what towards what, where, when, how much.

[models.MicroDiffusion.steering]
prototypes = "shapes.npz"      # of `panic-hpc steer fit`
location = "ca"                # a list is a sweep, here and below
strength = [0.0, 1.0, 2.0]     # 0.0 is the unsteered model, with its keys
iterations = [3, 5]            # only these visits of the loop, from 0
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from panic_hpc.models.settings import CLOSED, AddedLater, Located, wrong

Half = Literal["cond", "uncond", "both"]
ALL: Literal["all"] = "all"


def _as_numbers(value: Any) -> Any:
    """Return "all", or numbers from 0 in order, each once."""
    if value == ALL:
        return ALL
    is_list = isinstance(value, list | tuple) and len(value) <= 10_000
    if is_list and value and all(type(one) is int and 0 <= one < 10_000 for one in value):
        return tuple(sorted(set(value)))
    raise wrong('"all", or a list of numbers from 0, was expected')


def _as_window(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(n) is int for n in value):
        first, last = value
        if 0 <= first <= last < 10**6:
            return (first, last)
    raise wrong("the first and the last iteration were expected, as in [3, 5], from 0")


Numbers = Annotated[Literal["all"] | tuple[int, ...], BeforeValidator(_as_numbers)]
Window = Annotated[tuple[int, int], BeforeValidator(_as_window)]
Strength = Annotated[float, Field(ge=-1e6, le=1e6)]


class TextSteering(BaseModel):
    """How much is added to which layers of the text encoders."""

    model_config = CLOSED

    layers: Numbers = ALL
    strength: Strength = 0.0


class SteeringSettings(BaseModel):
    """From what towards what, where, when and how much.

    Attributes:
        prototypes: The file of `panic-hpc steer fit`; its contents, and not its name, are part of
            the identity.
        location: Where in a layer.
        strength: How many times the way from one prototype to the other is gone; below 0 back.
        layers: Their numbers, as `panic-hpc steer locations` has them.
        passes: Denoising steps, from 0.
        setup: A JSON file that says strength by pass and layer, in place of the four above.
        half: Which half of guided calls.
        gate: How much of the strength an item gets: all of it, or as much as it looks like what
            is steered away from.
        method: `add` the way, or take the share along it out (`project_out`).
        reverse: From the second class to the first.
        text: The layers of the text encoders.
        iterations: The first and the last visit of the loop that are steered; None for all.
    """

    model_config = CLOSED

    prototypes: Annotated[str, Located(), Field(min_length=1, max_length=4096)]
    location: Literal["ffn", "ca", "block"] = "ca"
    strength: Strength = 1.0
    layers: Numbers = ALL
    passes: Numbers = ALL
    setup: Annotated[str, Located(), Field(max_length=4096)] = ""
    half: Half = "cond"
    gate: Literal["none", "euclidean", "mahalanobis"] = "none"
    method: Literal["add", "project_out"] = "add"
    reverse: bool = False
    text: TextSteering = TextSteering()
    iterations: Window | None = None

    @model_validator(mode="after")
    def _says_strength_once(self) -> Self:
        said = (self.strength, self.layers, self.passes, self.half, self.text)
        if self.setup and said != (1.0, ALL, ALL, "cond", TextSteering()):
            raise wrong("setup and strength, layers, passes, half or text: give it or them")
        return self

    @property
    def has_effect(self) -> bool:
        """Whether a model that is steered so is another model."""
        return bool(self.setup or self.strength or self.text.strength)


def _without_idle(steering: SteeringSettings | None) -> SteeringSettings | None:
    return steering if steering and steering.has_effect else None


# So that strength 0 is the unsteered model, with its keys.
SteeringTable = Annotated[SteeringSettings | None, AfterValidator(_without_idle), AddedLater(None)]
"""What a family calls its setting `steering`; None where it says nothing, or has no effect."""


class Push(NamedTuple):
    """How strongly both halves are pushed at some layers in one pass.

    `passed` is None for every pass, `layers` None for every layer.
    """

    location: str
    passed: int | None
    layers: tuple[int, ...] | None
    cond: float
    uncond: float


def pushes_of(settings: SteeringSettings, setup: Mapping[str, Any] | None) -> list[Push]:
    """Return what a steering table asks for; `setup` is its setup file, read; pure."""
    if setup is not None:
        return list(_of_setup(settings.location, setup))
    return [
        *_at(settings.location, settings.passes, settings.layers, settings.strength, settings.half),
        *_at("text", ALL, settings.text.layers, settings.text.strength, settings.half),
    ]


def _at(location: str, passes: Any, layers: Any, strength: float, half: Half) -> Iterator[Push]:
    if not strength:
        return
    cond, uncond = (strength if half in (one, "both") else 0.0 for one in ("cond", "uncond"))
    for passed in [None] if passes == ALL else passes:
        yield Push(location, passed, None if layers == ALL else layers, cond, uncond)


def _of_setup(location: str, setup: Mapping[str, Any]) -> Iterator[Push]:
    for passed, scale in setup["scales"].items():
        strengths = (scale["strength_cond"], scale["strength_uncond"])
        if scale["layers"] and any(strengths):
            yield Push(location, int(passed), _every(scale["layers"]), *strengths)
    if setup["layers_text"] and setup["strength_text"]:
        text = setup["strength_text"]
        yield Push("text", None, _every(setup["layers_text"]), text, 0.0)


def _every(layers: tuple[int, ...]) -> tuple[int, ...] | None:
    return None if layers == (-1,) else layers


def last_steered_step(settings: Mapping[str, Any], place: int, length: int) -> int:
    """Return the last step at which a model at `place` of a cycle is steered by a window; -1.

    From then on every visit is like the next one, so that a repeated output proves a loop again.
    """
    window = (settings.get("steering") or {}).get("iterations")
    return -1 if window is None else int(window[1]) * length + place
