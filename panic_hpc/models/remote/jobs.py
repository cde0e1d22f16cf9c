"""Items asked of a server side by side, as many at a time as a batch has."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.models.base import Output, Turn
from panic_hpc.models.remote.server import ItemRefusedError

NO_TURN = Turn(0, "", {})


class RemoteItem(NamedTuple):
    """What is asked for one item: what the model reads, its seed, and whose turn it is."""

    value: Any
    seed: int
    turn: Turn

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The picture that is read; ItemRefusedError where it is none."""
        if isinstance(self.value, str):
            raise ItemRefusedError("there is no picture to read")
        read: NDArray[np.uint8] = self.value
        return read

    def text(self) -> str:
        """Return the text that is read: the prompt's, where a picture is what the model reads."""
        return self.value if isinstance(self.value, str) else self.turn.text

    def role(self, name: str) -> NDArray[np.uint8]:
        """Return the prompt's picture of a role; ItemRefusedError where it has none."""
        if name not in self.turn.pictures:
            raise ItemRefusedError(f"the prompt has no picture {name}")
        return self.turn.pictures[name]


def ask_all(
    ask: Callable[[RemoteItem], Output],
    inputs: Sequence[Any],
    seeds: Sequence[int],
    turns: Sequence[Turn] | None,
) -> list[Output]:
    """Return an output an item; one that the server refuses has its reason as its problem.

    RemoteError where the server fails: then of no item, whatever came of the others.
    """
    items = [
        RemoteItem(*one)
        for one in zip(inputs, seeds, turns or [NO_TURN] * len(inputs), strict=True)
    ]
    # Slots that nobody is in are copies of an item, of its very objects: a server that is paid by
    # the picture is asked once.
    distinct = {_identity(item): item for item in items}
    with ThreadPoolExecutor(len(distinct)) as pool:
        futures = {key: pool.submit(_answered, ask, item) for key, item in distinct.items()}
        return [futures[_identity(item)].result() for item in items]


def _identity(item: RemoteItem) -> tuple[int, int, int]:
    return id(item.value), item.seed, id(item.turn)


def _answered(ask: Callable[[RemoteItem], Output], item: RemoteItem) -> Output:
    try:
        return ask(item)
    except ItemRefusedError as error:
        return Output(None, problem=str(error))
