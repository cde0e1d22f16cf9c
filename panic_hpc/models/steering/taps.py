"""Hooks on a model's layers for the length of one call, and the clock that tells passes apart.

Nothing is left behind: hooks are attached when a call begins and taken off when it ends, so that
a pipeline without any is bit for bit the one that was loaded, and many models can share it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, NamedTuple, Protocol

from panic_hpc.errors import ModelError
from panic_hpc.models.steering.locations import COND, UNCOND, Place, Wiring, places_of

Halves = Mapping[str, slice]
"""Which rows of a tensor are the conditional half of a guided call, and which the other."""


class Moment(NamedTuple):
    """When a layer was called: the pass (0 for text encoders), and whose rows are whose."""

    passed: int
    halves: Halves


Visit = Callable[[Place, Moment, Any], Any]
"""From (place, moment, hidden states) to others in their stead, or None to leave them alone."""


class PassClock(Protocol):
    """Tells in which pass the denoiser is; a call of the model begins with a new one.

    `passed` is below 0 before the first pass; `call` counts calls within a pass, of classes that
    have a half a call.
    """

    passed: int
    call: int

    def tick(self, moment: float) -> None:
        """Take note of a call of the denoiser: its timestep, or its number where it has none."""


class TimestepClock:
    """Counts passes by distinct timesteps, and calls within a pass; pure bookkeeping.

    Schedulers of higher order ask the denoiser more than once at a timestep: that is one pass.
    """

    def __init__(self) -> None:
        self.passed = -1
        self.call = 0
        self._timestep: float | None = None

    def tick(self, moment: float) -> None:
        """Take note of a call of the denoiser at a timestep."""
        if moment == self._timestep:
            self.call += 1
        else:
            self.passed, self.call, self._timestep = self.passed + 1, 0, moment


def halves_of(order: str, call: int, n_rows: int, n_items: int) -> Halves:
    """Return whose rows are whose in the `call`-th call of a pass; {} where rows do not fit."""
    if order == "calls":
        half = UNCOND if call % 2 else COND
        return {half: slice(0, n_items)} if n_rows == n_items else {}
    if n_rows == n_items:
        return {COND: slice(0, n_items)}
    if n_rows != 2 * n_items:
        return {}
    first, second = (COND, UNCOND) if order == "cond-first" else (UNCOND, COND)
    return {first: slice(0, n_items), second: slice(n_items, n_rows)}


class Taps:
    """The places of one loaded model, and hooks on them while a call is made.

    `whole` has the parts of `wiring` as attributes.
    """

    def __init__(
        self,
        model: str,
        whole: Any,
        wiring: Wiring,
        new_clock: Callable[[], PassClock] = TimestepClock,
    ) -> None:
        self.model = model
        self._wiring, self._new_clock = wiring, new_clock
        self._parts: dict[str, Any] = {name: getattr(whole, name, None) for name in wiring.parts}
        self.places = places_of(wiring, modules_of(self._parts))
        self._modules = {
            place: self._parts[place.part].get_submodule(place.module) for place in self.places
        }

    @contextmanager
    def listening(self, places: Sequence[Place], n_items: int, visit: Visit) -> Iterator[PassClock]:
        """Call `visit` whenever one of `places` has been called inside the block."""
        clock = self._new_clock()
        with ExitStack() as stack:
            denoiser = self._parts[self._wiring.denoiser]
            ticking = _ticking(denoiser, self._wiring.timestep, clock)
            stack.callback(denoiser.register_forward_pre_hook(ticking, with_kwargs=True).remove)
            for place in places:
                hook = self._hook(place, clock, n_items, visit)
                stack.callback(self._modules[place].register_forward_hook(hook).remove)
            yield clock

    def _hook(
        self, place: Place, clock: PassClock, n_items: int, visit: Visit
    ) -> Callable[..., Any]:
        n_calls, at = 0, place.output or 0
        is_text, is_shared = place.location == "text", place.part == self._wiring.denoiser

        def hook(module: Any, given: Any, output: Any) -> Any:
            nonlocal n_calls
            if is_shared and is_text != (clock.passed < 0):
                return None
            is_tuple = isinstance(output, tuple)
            hidden = output[at] if is_tuple else output
            moment = self._moment(place, clock, n_calls, len(hidden), n_items)
            n_calls += 1
            changed = visit(place, moment, hidden)
            if changed is None or not is_tuple:
                return changed
            return (*output[:at], changed, *output[at + 1 :])

        return hook

    def _moment(
        self, place: Place, clock: PassClock, n_calls: int, n_rows: int, n_items: int
    ) -> Moment:
        is_text, wiring = place.location == "text", self._wiring
        order, call = (wiring.text_halves, n_calls) if is_text else (wiring.halves, clock.call)
        halves = halves_of(order, call, n_rows, n_items)
        if not halves:
            raise ModelError(
                f"{self.model} calls {place.part}.{place.module} with {n_rows} rows for {n_items} "
                "items, so that nobody can tell whose they are"
            )
        return Moment(0 if is_text else clock.passed, halves)


def modules_of(parts: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return (path, class) of the modules of each part that is there."""
    return {
        name: [(path, type(module).__name__) for path, module in part.named_modules()]
        for name, part in parts.items()
        if part is not None
    }


def _ticking(denoiser: Any, timestep: str, clock: PassClock) -> Callable[..., None]:
    if not timestep:
        return _counting(clock)
    names = list(inspect.signature(type(denoiser).forward).parameters)[1:]
    position = names.index(timestep)

    def tick(module: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        value = named[timestep] if timestep in named else given[position]
        clock.tick(float(value.flatten()[0]) if hasattr(value, "flatten") else float(value))

    return tick


def _counting(clock: PassClock) -> Callable[..., None]:
    n_calls = count()

    def tick(module: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        clock.tick(next(n_calls))

    return tick


def axis_of(n_dimensions: int) -> int:
    """Return the axis of components: the last of tokens (B, T, D), the second of maps (B, D, …)."""
    return 1 if n_dimensions == 4 else -1


def pooled(hidden: Any) -> Any:
    """Return (B, D) float32: the mean over tokens, or over the places of a map."""
    floats = hidden.float()
    return floats.mean((2, 3)) if floats.ndim == 4 else floats.mean(1)
