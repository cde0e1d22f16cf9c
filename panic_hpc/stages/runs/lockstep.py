"""Lockstep: the runs of a shard go through their network step by step, in the plan's batches."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from panic_hpc import clock
from panic_hpc.models.base import GenerativeModel, Output, Turn
from panic_hpc.models.loading import on_device
from panic_hpc.stages.calls import Caller, ItemFailure
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.stages.journalled import interrupted
from panic_hpc.stages.runs.progress import RunLimits, RunProgress, add_rows, seed_of
from panic_hpc.stages.runs.recorder import CallResult, Item, Recorder, Submitted
from panic_hpc.stages.throttle import Slowest, Throttle
from panic_hpc.types import IMAGE, RUNS

REPORT_INTERVAL_S = 1.0
# A picture may so be encoded during two calls, the captioner's and the next of its own model, and
# a run has at most two pictures in memory.
MAX_UNRECORDED = 3
"""Outputs of one run that may be under way into the journal when its next step begins."""


_Item = tuple[Any, int, Turn]
"""What a model reads, its seed, and whose turn it is."""


@dataclass(frozen=True, slots=True)
class CyclePosition:
    """A model's place in a network: how it is called, and what becomes of its outputs."""

    caller: Caller
    codec: Codec
    batch_size: int


@dataclass(frozen=True, slots=True)
class NetworkCycle:
    """What a shard's runs go through: places in order, limits, which images are kept."""

    places: tuple[CyclePosition, ...]
    limits: RunLimits
    keep_every: int


def position_of(model: GenerativeModel, codec: Codec, input_codec: Codec) -> CyclePosition:
    """Return the place of a loaded model; `codec` is that of what it produces."""
    size = model.spec.batch_size

    # Of pictures beside the text too, for models that ask.
    wants_turn = getattr(model, "wants_turn", False)

    def call(items: Sequence[_Item]) -> Sequence[Output | ItemFailure]:
        # A triple is one item, so that a copy that fills a slot brings its seed along.
        inputs, seeds, turns = zip(*items, strict=True)
        given = (list(inputs), list(seeds), *([list(turns)] if wants_turn else []))
        outputs = on_device(model, lambda: model.generate(*given))
        return [_checked(codec, output) for output in outputs]

    def plain(item: _Item) -> _Item:
        # With the item's own seed: only the input is under suspicion.
        return input_codec.plain(item[0]), item[1], item[2]

    return CyclePosition(Caller(model.spec.name, size, call, plain), codec, size)


def batches(n_runs: int, batch_size: int) -> Iterator[range]:
    """Yield the positions of each batch: consecutive runs, the last perhaps short."""
    for first in range(0, n_runs, batch_size):
        yield range(first, min(first + batch_size, n_runs))


def is_kept(course: NetworkCycle, step: int) -> bool:
    """Say whether an output is stored: each text, and every `keep_every`-th image of a run."""
    if course.places[step % len(course.places)].codec.name != IMAGE:
        return True
    is_image = [place.codec.name == IMAGE for place in course.places]
    rounds, rest = divmod(step, len(is_image))
    # Counted among the images and not in steps: every second step of a cycle of two would be all of
    # its images, or none.
    number = rounds * sum(is_image) + sum(is_image[:rest])
    return course.keep_every > 0 and number % course.keep_every == 0


@dataclass(slots=True)
class Lockstep:
    """The work on one shard; `should_stop`, `report` and `joules` are the context's.

    Holds one decoded output a run in memory, and those that are being encoded: 3 MB each for images
    of 1024 by 1024.
    """

    course: NetworkCycle
    runs: Sequence[RunProgress]
    recorder: Recorder
    should_stop: Callable[[float], str]
    report: Callable[[int, int], None]
    joules: Callable[[], float | None]
    _slowest: Slowest = field(default_factory=Slowest)
    _pace: Throttle = field(default_factory=lambda: Throttle(REPORT_INTERVAL_S))
    # Calls in their order: those whose outputs the next models wait for, then those that are only
    # being recorded.
    _pending: deque[Submitted] = field(default_factory=deque)
    _unrecorded: deque[Submitted] = field(default_factory=deque)

    def advance(self) -> None:
        """Go on until every run has ended; Interrupted, in a consistent state, where asked."""
        self._report()
        # Not every run is as far after a kill: the last call may have recorded one batch of a step
        # and not the next.
        first = min((run.n_steps for run in self.runs if not run.ended), default=0)
        for step in range(first, self.course.limits.max_length):
            if all(run.ended for run in self.runs):
                break
            place = self.course.places[step % len(self.course.places)]
            for positions in batches(len(self.runs), place.batch_size):
                self._attend(step, place, positions)
        self._settle_all()
        self._report()

    def _attend(self, step: int, place: CyclePosition, positions: range) -> None:
        runs = [self.runs[position] for position in positions]
        # The waits that let encoding overlap: a batch needs its own last outputs only, while those
        # before and of other batches are still being written.
        while any(run.is_pending for run in runs):
            self._hand_on()
        while any(run.n_unrecorded >= MAX_UNRECORDED for run in runs):
            self._settle()
        ready = [position for position in positions if self.runs[position].is_ready(step)]
        if not ready:
            return
        # Before a call: one of an image model may take minutes, and the deadline comes with
        # SIGKILL.
        self._stop_if_asked()
        with self._slowest.timed():
            result = self._call(step, place, positions.start, ready)
        for position, reason in result.failed:
            self.runs[position].fail(reason)
        for item in result.items:
            self.runs[item.position].is_pending = True
        self._pending.append(self.recorder.submit(result, place.codec))

    def _call(
        self, step: int, place: CyclePosition, first: int, ready: Sequence[int]
    ) -> CallResult:
        iteration = step // len(self.course.places)
        items = {p - first: _item(self.runs[p], step, iteration) for p in ready}
        started, start, before = clock.now(), clock.monotonic(), self.joules()
        outputs = place.caller(items)
        # Over the batch size and not the items that are ready: a call costs the same with copies.
        seconds = (clock.monotonic() - start) / place.batch_size
        joules = _between(before, self.joules(), place.batch_size)
        kept = is_kept(self.course, step)
        answers = {first + slot: output for slot, output in outputs.items()}
        failed = [(p, a.reason) for p, a in answers.items() if isinstance(a, ItemFailure)]
        done = [Item(p, a, kept) for p, a in answers.items() if isinstance(a, Output)]
        return CallResult(step, done, failed, started, seconds, joules)

    def _hand_on(self) -> None:
        """Let the runs of the oldest pending call have what their next models read."""
        call = self._pending.popleft()
        for position, future in call.handed_on.items():
            run, handed_on = self.runs[position], future.result()
            run.advance(handed_on.digest, self.course.limits)
            # An ended run gives its picture back; the others hold one each.
            run.current = None if run.ended else handed_on.value
            run.is_pending = False
        self._unrecorded.append(call)

    def _settle(self) -> None:
        """Wait for the oldest call to be recorded."""
        if not self._unrecorded:
            self._hand_on()
        add_rows(self._unrecorded.popleft().record.result(), self.runs)
        if self._pace.is_due():
            self._report()

    def _settle_all(self) -> None:
        while self._pending or self._unrecorded:
            self._settle()

    def _stop_if_asked(self) -> None:
        # The slowest call, the longest way into the journal and the slowest fsync seen: all may lie
        # between this look and the end.
        recording = self.recorder.latest.seconds + self.recorder.slowest.seconds
        reason = self.should_stop(self._slowest.seconds + recording)
        if reason:
            self._settle_all()
            self._report()
            raise interrupted(RUNS, reason)

    def _report(self) -> None:
        total = self.course.limits.max_length
        # What is recorded, since a process that was killed is judged by what the next one finds.
        done = sum(total if run.is_complete else len(run.rows) for run in self.runs)
        self.report(done, total * len(self.runs))


def _item(run: RunProgress, step: int, iteration: int) -> _Item:
    return run.current, seed_of(run.run, step), Turn(step, *run.asked, iteration)


def _between(before: float | None, after: float | None, n_items: int) -> float | None:
    """Return the energy an item between two readings of a counter, None without both."""
    return None if before is None or after is None else (after - before) / n_items


def _checked(codec: Codec, output: Any) -> Output | ItemFailure:
    """Return a model's output, or why it is none that can be stored and read on."""
    if not isinstance(output, Output):
        return ItemFailure(f"TypeError: an Output was expected, not {type(output).__name__}")
    if problem := output.problem or codec.problem(output.value):
        return ItemFailure(f"ValueError: {problem}")
    return output
