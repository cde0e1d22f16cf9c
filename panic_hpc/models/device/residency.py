"""Which loaded models are on the device now, where they do not all fit beside each other.

Nothing is moved until the device says that it is out of memory. Then all models but the one that is
wanted give up their place and wait in the host's memory, and the call is made again with the same
inputs. Stages work through all batches of one model before the next, so models that do not fit
together are swapped once a step of a shard, and not once a call.
"""

import gc
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from panic_hpc.memory import unused_bytes
from panic_hpc.models.device.errors import is_out_of_memory

R = TypeVar("R")
HOST = "cpu"
# Of the host's memory that is left, what parked models may take at most.
PARKING_SHARE = 0.5


@dataclass(slots=True, eq=False)
class Resident:
    """A loaded model: `device` is where it works, `is_parked` whether it waits on the host.

    `nbytes` is what it was seen to take on the device, 0 where nobody can tell.
    """

    model: Any
    device: str
    nbytes: int = 0
    is_parked: bool = False


class Residents:
    """The models that a process has loaded, by key."""

    def __init__(self) -> None:
        self._by_key: dict[str, Resident] = {}
        # Once memory ran out, room is made before a model comes back and not by trying.
        self._fit_together = True

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def model(self, key: str) -> Any:
        """Return a model that was added, wherever it is now."""
        return self._by_key[key].model

    def add(self, key: str, device: str, load: Callable[[], Any]) -> None:
        """Load a model onto `device`, the others making room where it does not fit beside them."""
        before = allocated_bytes()
        model = self._with_room(load, None)
        self._by_key[key] = Resident(model, device, max(0, allocated_bytes() - before))

    def items(self) -> list[tuple[str, Resident]]:
        """Return the models that are loaded, with their keys."""
        return list(self._by_key.items())

    def replace(self, old: str, new: str, make: Callable[[Any], Any]) -> None:
        """Put what `make` makes of the model `old` in its place, as `new`, on its device."""
        own = self._by_key[old]
        if own.is_parked:
            self._fetch(own)
        # First: a model that gave its weights away must not be found again if making fails.
        del self._by_key[old]
        own.model = self._with_room(lambda: make(own.model), own)
        self._by_key[new] = own

    def keep(self, keys: Collection[str]) -> None:
        """Give up all models but `keys`: those wait on the host that fit there, others are dropped.

        On the host alone nothing would be gained by waiting.
        """
        others = {key: one for key, one in self._by_key.items() if key not in keys}
        for key, one in others.items():
            if not self._may_wait(one):
                del self._by_key[key]
            elif not one.is_parked:
                _park(one)
        if others:
            _collect(is_last=not self._by_key)

    def call(self, model: Any, function: Callable[[], R]) -> R:
        """Return `function()` with `model` on its device."""
        own = next((one for one in self._by_key.values() if one.model is model), None)
        if own is not None and own.is_parked:
            self._fetch(own)
        return self._with_room(function, own)

    def _fetch(self, own: Resident) -> None:
        if not self._fit_together:
            self._make_room(own)
        self._with_room(lambda: own.model.move(own.device), own)
        own.is_parked = False

    def _with_room(self, function: Callable[[], R], own: Resident | None) -> R:
        """Return `function()`, called again without the other models where memory ran out."""
        if not self._beside(own):
            return function()
        try:
            return function()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Out of the handler: the error's trace holds the tensors of the call that failed.
        self._fit_together = False
        self._make_room(own)
        return function()

    def _make_room(self, own: Resident | None) -> None:
        for one in self._beside(own):
            _park(one)
        _collect(is_last=False)

    def _beside(self, own: Resident | None) -> list[Resident]:
        """Return the models that could leave the device to `own`."""
        held = self._by_key.values()
        return [one for one in held if one is not own and not one.is_parked and _can_move(one)]

    def _may_wait(self, one: Resident) -> bool:
        # Asked again of those that wait already: other work may need the host's memory by now.
        room = unused_bytes() + (one.nbytes if one.is_parked else 0)
        return _can_move(one) and 0 < one.nbytes <= PARKING_SHARE * room


def allocated_bytes() -> int:
    """Return what torch has allocated on the device, 0 without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_allocated())


def _can_move(one: Resident) -> bool:
    return one.device != HOST and hasattr(one.model, "move")


def _park(one: Resident) -> None:
    one.model.move(HOST)
    one.is_parked = True


def _collect(*, is_last: bool) -> None:
    # Pipelines hold themselves in cycles (components, hooks), so dropping the name frees nothing.
    gc.collect()
    if is_last:
        # Only libraries are left: later collections need not visit their objects again (0.3 s).
        gc.freeze()
    if "torch" in sys.modules:
        # torch keeps freed blocks for itself; the next model may need them in one piece.
        sys.modules["torch"].cuda.empty_cache()
