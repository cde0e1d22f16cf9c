"""Steering a pipeline: hidden states moved along the way from one prototype to the other.

With the means m0 (of the class steered away from) and m1 of a layer and pass, hidden states h go to

    add            h + strength * gate * (m1 - m0)
    project_out    h - strength * gate * ((h - c) . u) u

where u is the way as a unit vector and c the middle of the means. `gate` is 1, or the probability
that an item, its activations x pooled over tokens, is of the class steered away from: two normal
distributions of equal prior and equal covariance, which is spread * I (`euclidean`) or the one
within the classes, shrunk (`mahalanobis`); that is the logistic function of w . (x - c). Each item
is moved by itself, whatever its neighbours are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.files import read_regular
from panic_hpc.errors import ModelError
from panic_hpc.models.settings import located
from panic_hpc.models.steering.locations import COND, UNCOND, Place, chosen, told
from panic_hpc.models.steering.prototypes import Prototype, Prototypes, read_prototypes
from panic_hpc.models.steering.settings import Push, SteeringSettings, pushes_of
from panic_hpc.models.steering.setup_file import MAX_BYTES, read_setup
from panic_hpc.models.steering.taps import Moment, Taps, axis_of, pooled
from panic_hpc.models.steering.weights import require_weights
from panic_hpc.types import ModelSpec, is_visit_in

Key = tuple[str, int, int, str]
"""Location, layer, pass, half."""


class Way(NamedTuple):
    """The way at one place and pass, (D,) float32 each, with the gate's weights; strength apart."""

    step: NDArray[np.float32]
    middle: NDArray[np.float32]
    weights: NDArray[np.float32] | None


def way_of(prototype: Prototype, passed: int, settings: SteeringSettings) -> Way:
    """Return the way from one class to the other; pure."""
    source, target = (
        prototype.means[::-1, passed] if settings.reverse else prototype.means[:, passed]
    )
    step, sign = target - source, -1.0 if settings.reverse else 1.0
    weights = None
    if settings.gate == "euclidean":
        weights = -step / np.float32(max(float(prototype.spread[passed]), 1e-12))
    elif settings.gate == "mahalanobis":
        weights = np.float32(sign) * prototype.weights[passed]
    return Way(step, (source + target) / 2, weights)


@dataclass
class Steering:
    """What pushes one model: strengths by place, pass and half, and the ways they go along.

    `due` are those that a call has to make; what was made is compared after each call.
    """

    model: str
    settings: SteeringSettings
    prototypes: Prototypes
    places: tuple[Place, ...]
    strengths: Mapping[Key, float]
    _made: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def is_on(self, iteration: int) -> bool:
        """Say whether a visit of the loop is steered."""
        return is_visit_in(self.settings.iterations, iteration)

    @contextmanager
    def pushing(self, taps: Taps, n_items: int) -> Iterator[None]:
        """Steer the call inside the block; ModelError where a push asked for never came."""
        fired: set[Key] = set()

        def visit(place: Place, moment: Moment, hidden: Any) -> Any:
            return self._pushed(place, moment, hidden, fired)

        with taps.listening(self.places, n_items, visit):
            yield
        if missing := set(self.strengths) - fired:
            raise ModelError(self._missed(missing))

    def _pushed(self, place: Place, moment: Moment, hidden: Any, fired: set[Key]) -> Any:
        changed = None
        for half, rows in moment.halves.items():
            key = (place.location, place.layer, moment.passed, half)
            strength = self.strengths.get(key)
            if strength is not None:
                fired.add(key)
                changed = hidden.clone() if changed is None else changed
                changed[rows] = self._moved(key, hidden[rows], strength)
        return changed

    def _moved(self, key: Key, hidden: Any, strength: float) -> Any:
        step, middle, weights = self._way(key, hidden)
        amount = strength
        if weights is not None:
            logit = ((pooled(hidden) - middle.flatten()) * weights.flatten()).sum(-1)
            # (B, 1, …): each item by its own.
            amount = strength * logit.sigmoid().reshape(-1, *[1] * (hidden.ndim - 1))
        if self.settings.method == "add":
            return hidden + (amount * step).to(hidden.dtype)
        axis = axis_of(hidden.ndim)
        unit = step / step.norm().clamp_min(1e-12)
        along = ((hidden.float() - middle) * unit).sum(axis, keepdim=True)
        return hidden - (amount * along * unit).to(hidden.dtype)

    def _way(self, key: Key, hidden: Any) -> tuple[Any, ...]:
        """Return a way as float32 tensors that broadcast over hidden states."""
        at = (*key[:3], hidden.device, hidden.ndim)
        if at not in self._made:
            import torch

            one = self.prototypes.places[key[:2]]
            way = way_of(one, key[2], self.settings)
            shape = [1] * hidden.ndim
            shape[axis_of(hidden.ndim)] = -1
            self._made[at] = tuple(
                None if array is None else torch.tensor(array).reshape(shape).to(hidden.device)
                for array in way
            )
        made: tuple[Any, ...] = self._made[at]
        return made

    def _missed(self, missing: set[Key]) -> str:
        passes = {key[2] for key in missing if key[0] != "text"}
        if {key[3] for key in missing} == {UNCOND}:
            return (
                f"{self.model} steers the half {UNCOND!r}, and its calls have none: it is not "
                "guided by a negative prompt (guidance or true_cfg above 1)"
            )
        what = f"in pass {told(passes)}" if passes else "of a text encoder"
        return f"{self.model} steers layers {what} that its calls never reached"


def planned_problems(spec: ModelSpec) -> list[str]:
    """Return what a steering table has wrong that its files tell, before any weight is there."""
    if "steering" not in spec.settings:
        return []
    settings = SteeringSettings.model_validate(spec.settings["steering"])
    try:
        prototypes = read_prototypes(located(spec, settings.prototypes))
        places = [Place(*place, part="", module="") for place in prototypes.places]
        _steering(spec, settings, prototypes, places, f"{spec.name}: its file of prototypes")
    except ModelError as error:
        return [f"models.{spec.name}.steering: {error.message}"]
    return []


def steering_of(spec: ModelSpec, settings: SteeringSettings, places: Sequence[Place]) -> Steering:
    """Return what steers a model of these places; ModelError names what the table has wrong."""
    prototypes = read_prototypes(located(spec, settings.prototypes))
    return _steering(spec, settings, prototypes, places, spec.name)


def _steering(
    spec: ModelSpec,
    settings: SteeringSettings,
    prototypes: Prototypes,
    places: Sequence[Place],
    whose: str,
) -> Steering:
    require_weights(spec.name, spec.identity(), prototypes.header.weights)
    setup = None
    if settings.setup:
        path = located(spec, settings.setup)
        setup = read_setup(read_regular(path, MAX_BYTES), str(path))
    pushes = pushes_of(settings, setup)
    strengths: dict[Key, float] = {}
    steered: dict[Place, None] = {}
    for push in pushes:
        for place in _steered_places(whose, push, places, prototypes):
            steered[place] = None
            strengths |= _strengths(spec.name, push, place, prototypes)
    return Steering(spec.name, settings, prototypes, tuple(steered), strengths)


def _steered_places(
    model: str, push: Push, places: Sequence[Place], prototypes: Prototypes
) -> tuple[Place, ...]:
    own = chosen(places, push.location, push.layers, model)
    known = prototypes.layers(push.location)
    if unknown := [place.layer for place in own if place.layer not in known]:
        raise ModelError(
            f"{model}: the prototypes have no layer {told(unknown)} of {push.location}; they have "
            f"{told(known) or 'none'}",
            hint=f"Capture {push.location!r} too (capture.locations), or steer elsewhere",
        )
    return own


def _strengths(model: str, push: Push, place: Place, prototypes: Prototypes) -> dict[Key, float]:
    n_passes = prototypes.places[place.location, place.layer].n_passes
    passes = range(n_passes) if push.passed is None else [push.passed]
    if push.passed is not None and push.passed >= n_passes:
        raise ModelError(
            f"{model} has no pass {push.passed}: its prototypes have {told(range(n_passes))}"
        )
    return {
        (place.location, place.layer, passed, half): strength
        for passed in passes
        for half, strength in ((COND, push.cond), (UNCOND, push.uncond))
        if strength
    }
