"""Work spread over processes, one a core; a process that dies takes only its own task with it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def each(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    n_processes: int,
    before: Callable[[], None],
) -> Iterator[tuple[Task, Result | None]]:
    """Yield (task, function(task)) as they finish; None where the process died of its task.

    Tasks are begun in their order and read only when they are about to begin; `before` is called
    first, and what it raises ends the work. With one process the work is done in this one, and
    its death is the caller's. `function` can be pickled.
    """
    if n_processes == 1:
        for task in tasks:
            before()
            yield task, function(task)
        return
    crew = _Crew(function, n_processes, before)
    try:
        yield from crew.work(iter(tasks))
    finally:
        crew.dismiss()


class _Crew(Generic[Task, Result]):
    """A pool of processes that is replaced when one of them dies."""

    def __init__(
        self, function: Callable[[Task], Result], n_processes: int, before: Callable[[], None]
    ) -> None:
        self.function = function
        self.n_processes = n_processes
        self.before = before
        self._pool = _new_pool(n_processes)
        self._running: dict[Future[Result], Task] = {}
        self._lost: list[Task] = []

    def work(self, waiting: Iterator[Task]) -> Iterator[tuple[Task, Result | None]]:
        while True:
            self._begin(waiting)
            if not self._running and not self._lost:
                return
            done = wait(self._running, return_when=FIRST_COMPLETED).done
            for future in done:
                task = self._running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    self._lost.append(task)
                else:
                    yield task, future.result()
            if self._lost:
                yield from self._retried()

    def _begin(self, waiting: Iterator[Task]) -> None:
        while len(self._running) <= self.n_processes and not self._lost:
            task = next(waiting, None)
            if task is None:
                return
            self.before()
            try:
                self._running[self._pool.submit(self.function, task)] = task
            except BrokenProcessPool:
                self._lost.append(task)

    def _retried(self) -> Iterator[tuple[Task, Result | None]]:
        """Try each task of a broken pool alone, so that the one that kills is known."""
        lost, self._lost = [*self._lost, *self._running.values()], []
        self._running.clear()
        self.dismiss()
        for task in lost:
            self.before()
            yield task, _alone(self.function, task)
        self._pool = _new_pool(self.n_processes)

    def dismiss(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _alone(function: Callable[[Task], Result], task: Task) -> Result | None:
    with _new_pool(1) as pool:
        try:
            return pool.submit(function, task).result()
        except BrokenProcessPool:
            return None


def _new_pool(n_processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(n_processes, context, initializer=_follow_parent)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends: a killed parent cannot say so.

    SIGTERM must keep its effect: it is how a pool ends its processes when one of them has died.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
