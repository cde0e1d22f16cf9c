"""Model calls of fixed shape: missing slots filled with copies, one bad item kept to itself.

A call sees exactly as many items as the model's batch size. Where it raises, every item is tried
once more in its own slot beside copies of itself (the same shape, hence the same bits), and those
that raise again are failures of their own. A call may also give a failure in place of a result
(a picture of NaN): the others stand. Where all items fail, either way, a plain item tells whether
they are bad or the model is: what was called before must not decide that, or an interruption could.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from panic_hpc.errors import Interrupted, ModelError, RemoteError
from panic_hpc.models.device.errors import raise_if_sticky

Call = Callable[[Sequence[Any]], Sequence[Any]]

NO_ITEMS_FAULT = (Interrupted, RemoteError)
"""What says nothing of the items that a model was called with."""


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """An item that a model cannot work on; `reason` is a line, then the trace."""

    reason: str


def reason_of(error: BaseException) -> str:
    """Return what is recorded of an error: a line that says what, then where."""
    return f"{line_of(error)}\n{_storable(''.join(traceback.format_exception(error)))}"


def line_of(error: BaseException) -> str:
    """Return the line that says what went wrong."""
    return _storable(f"{type(error).__name__}: {error}")


def _storable(text: str) -> str:
    """Return a text as UTF-8 holds it: an error may quote a caption with half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


def filled_batch(items: Mapping[int, Any], size: int) -> list[Any]:
    """Return `size` items by slot, absent ones replaced by copies of the first that is there."""
    # A copy and not a blank: NaN or zeros can take other branches, and some models refuse them.
    spare = items[min(items)]
    return [items.get(slot, spare) for slot in range(size)]


class Caller:
    """Calls one model; `plain` makes an ordinary item of the kind of another one."""

    def __init__(self, name: str, size: int, call: Call, plain: Callable[[Any], Any]) -> None:
        self.name = name
        self.size = size
        self._call = call
        self._plain = plain

    def __call__(self, items: Mapping[int, Any]) -> dict[int, Any]:
        """Return a result or an ItemFailure for each slot of `items`.

        Raises ModelError where the model fails on whatever it is given, DeviceError where this
        process has lost its device, RemoteError where the model's server fails.
        """
        try:
            results = self._checked(filled_batch(items, self.size))
        except NO_ITEMS_FAULT:
            raise
        except Exception as error:
            # Nothing can be tried again in this process, and no item is to blame.
            raise_if_sticky(error)
            return self._isolated(items, error)
        # What came back for copies is dropped here and nowhere else.
        own = {slot: results[slot] for slot in items}
        self._require_sound_if_all_failed(items, own)
        return own

    def _checked(self, items: Sequence[Any]) -> Sequence[Any]:
        results = self._call(items)
        if len(results) != self.size:
            raise ModelError(f"{self.name} gave {len(results)} results for {self.size} items")
        return results

    def _isolated(self, items: Mapping[int, Any], error: Exception) -> dict[int, Any]:
        results = {slot: self._alone(slot, item) for slot, item in items.items()}
        self._require_sound_if_all_failed(items, results, error)
        return results

    def _require_sound_if_all_failed(
        self, items: Mapping[int, Any], results: Mapping[int, Any], error: Exception | None = None
    ) -> None:
        # A lost GPU fails every item too; recorded as failures of the runs it would be published.
        failures = [result for result in results.values() if isinstance(result, ItemFailure)]
        if len(failures) == len(results):
            line = line_of(error) if error else failures[0].reason.splitlines()[0]
            self._require_sound(self._plain(items[min(items)]), line, error)

    def _alone(self, slot: int, item: Any) -> Any:
        try:
            # In its own slot: with several threads, or split-K kernels, another slot may round
            # otherwise.
            return self._checked([item] * self.size)[slot]
        except NO_ITEMS_FAULT:
            raise
        except Exception as error:
            raise_if_sticky(error)
            return ItemFailure(reason_of(error))

    def _require_sound(self, item: Any, line: str, error: Exception | None) -> None:
        """Raise where the model fails on a plain item too; `line` says how on the others."""
        if isinstance(self._alone(0, item), ItemFailure):
            raise ModelError(f"{self.name} fails on all that it is given ({line})") from error
