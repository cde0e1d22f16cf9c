"""Work spread over processes, one a core; a process that dies takes only its own task with it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

LOOK_EVERY_S = 1.0


def each(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    n_processes: int,
    may_begin: Callable[[], bool],
    meanwhile: Callable[[], None],
) -> Iterator[tuple[Task, Result | None]]:
    """Yield (task, function(task)) as they finish; None where the process died of its task.

    Tasks are begun in their order and read only when they are about to begin. `may_begin` is asked
    before; once it says no, none is begun any more, and those that run are yielded as they finish.
    `meanwhile` is called every second of waiting; what it raises ends the work and kills those that
    run. With one process the work is done in this one: nothing is asked while a task runs, and its
    death is the caller's. `function` can be pickled.
    """
    if n_processes == 1:
        for task in tasks:
            if not may_begin():
                return
            yield task, function(task)
        return
    pool = _RestartingPool(function, n_processes, may_begin, meanwhile)
    try:
        yield from pool.work(iter(tasks))
    finally:
        pool.shutdown()


class _RestartingPool(Generic[Task, Result]):
    """A pool of processes that is replaced when one of them dies."""

    def __init__(
        self,
        function: Callable[[Task], Result],
        n_processes: int,
        may_begin: Callable[[], bool],
        meanwhile: Callable[[], None],
    ) -> None:
        self.function = function
        self.n_processes = n_processes
        self.may_begin = may_begin
        self.meanwhile = meanwhile
        # The pool does not name its processes, so they are those that are new since now.
        self._others = set(multiprocessing.active_children())
        self._pool = _new_pool(n_processes)
        self._running: dict[Future[Result], Task] = {}
        self._lost: list[Task] = []
        self._goes_on = True

    def work(self, waiting: Iterator[Task]) -> Iterator[tuple[Task, Result | None]]:
        while True:
            self._begin(waiting)
            if not self._running and not self._lost:
                return
            for future in self._finished(self._running):
                task = self._running.pop(future)
                # All that ran in the pool fail alike; who killed it is found out by trying each
                # alone.
                if isinstance(future.exception(), BrokenProcessPool):
                    self._lost.append(task)
                else:
                    yield task, future.result()
            if self._lost:
                yield from self._retried()

    def _begin(self, waiting: Iterator[Task]) -> None:
        # One more than there are processes: it waits in the pool, so that none idles between two.
        while len(self._running) <= self.n_processes and not self._lost and self._goes_on:
            self._goes_on = self.may_begin()
            task = next(waiting, None) if self._goes_on else None
            if task is None:
                return
            try:
                self._running[self._pool.submit(self.function, task)] = task
            except BrokenProcessPool:
                self._lost.append(task)

    def _finished(self, running: Collection[Future[Result]]) -> set[Future[Result]]:
        done: set[Future[Result]] = set()
        while running and not done:
            done = wait(running, LOOK_EVERY_S, FIRST_COMPLETED).done
            if not done:
                self.meanwhile()
        return done

    def _retried(self) -> Iterator[tuple[Task, Result | None]]:
        """Try each task of a broken pool alone, so that the one that kills is known."""
        lost, self._lost = [*self._lost, *self._running.values()], []
        self._running.clear()
        self.shutdown()
        for task in lost:
            self._goes_on = self._goes_on and self.may_begin()
            if not self._goes_on:
                return
            yield task, self._alone(task)
        self._pool = _new_pool(self.n_processes)

    def _alone(self, task: Task) -> Result | None:
        self._pool = _new_pool(1)
        future = self._pool.submit(self.function, task)
        self._running[future] = task
        self._finished(self._running)
        del self._running[future]
        self.shutdown()
        return None if isinstance(future.exception(), BrokenProcessPool) else future.result()

    def shutdown(self) -> None:
        """End the pool; what still runs is killed, for nobody would take its result."""
        if self._running:
            for process in set(multiprocessing.active_children()) - self._others:
                with suppress(ValueError):  # closed in the meantime
                    process.terminate()
        self._pool.shutdown(cancel_futures=True)


def _new_pool(n_processes: int) -> ProcessPoolExecutor:
    # fork would copy locks that threads of this process hold, held for ever.
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
    # sys.exit would end this thread only.
    os._exit(1)
