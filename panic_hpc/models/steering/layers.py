"""The layers of one loaded model: steered where its settings say so, listened to where asked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

from panic_hpc.models.steering.hearing import Heard
from panic_hpc.models.steering.locations import Wiring, chosen
from panic_hpc.models.steering.pushing import Steering, steering_of
from panic_hpc.models.steering.settings import SteeringSettings
from panic_hpc.models.steering.taps import PassClock, Taps, TimestepClock
from panic_hpc.types import ModelSpec


class ModelLayers:
    """What calls of a model go through beside the model itself; often nothing.

    `whole` has the parts that `wiring` names as attributes: a pipeline of diffusers, or another
    family's model. A call of it begins with a `new_clock`. ModelError where settings steer what it
    does not have.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: SteeringSettings | None,
        whole: Any,
        wiring: Callable[[], Wiring],
        new_clock: Callable[[], PassClock] = TimestepClock,
    ) -> None:
        self._spec, self._whole = spec, whole
        self._wiring, self._new_clock = wiring, new_clock
        self._heard: Heard | None = None
        self._steering: Steering | None = None
        if settings is not None:
            self._steering = steering_of(spec, settings, self._taps.places)

    @cached_property
    def _taps(self) -> Taps:
        # Late: a class whose wiring nobody knows can be called, if neither steered nor heard.
        return Taps(self._spec.name, self._whole, self._wiring(), self._new_clock)

    @contextmanager
    def hearing(self, locations: Sequence[str]) -> Iterator[Heard]:
        """Listen to the calls inside the block, at all layers of some locations.

        Raises ModelError for a location that there is none of.
        """
        name, places = self._spec.name, self._taps.places
        wanted = [place for where in locations for place in chosen(places, where, None, name)]
        self._heard = Heard(tuple(wanted))
        try:
            yield self._heard
        finally:
            self._heard = None

    @contextmanager
    def around(self, n_items: int, iteration: int) -> Iterator[None]:
        """Steer the call inside the block, and listen to it, as told."""
        with ExitStack() as stack:
            if self._steering and self._steering.is_on(iteration):
                stack.enter_context(self._steering.pushing(self._taps, n_items))
            # Behind the steering, so that what is heard is what goes on.
            if self._heard:
                stack.enter_context(self._heard.hearing(self._taps, n_items))
            yield
