"""Work one item ahead, in a thread, while the consumer is busy with the item before."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def prefetch(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield `function(item)` in order; at most two results are alive at once."""
    waiting: Future[B] | None = None
    with ThreadPoolExecutor(1, "prefetch") as thread:
        for item in items:
            # Submitted before the result before it is handed out: the thread reads while the
            # consumer computes.
            following = thread.submit(function, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
