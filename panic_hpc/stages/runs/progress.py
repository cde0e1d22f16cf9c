"""How far the runs of a shard are: their rows so far, and the journal records these come from.

A record of the runs stage is one model call: {"step", "started", "seconds", "joules", "rows":
[[run within the shard, digest, input tokens, output tokens, flags, is stored], …], "failed":
[[run, reason], …]}, without "joules" where no GPU counts them, with the encoded outputs that are
stored as byte strings, in order of rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from panic_hpc.errors import ConflictError, ShardError
from panic_hpc.keys import step_seed
from panic_hpc.stages.runs.loops import LoopFinder
from panic_hpc.store.journal import Blob, JournalRecord
from panic_hpc.types import Run


class InvocationRow(NamedTuple):
    """One invocation as recorded; `blob` is None where its output is not stored.

    `joules` is nan where no GPU counts them.
    """

    started: float
    seconds: float
    joules: float
    digest: str
    input_tokens: int
    output_tokens: int
    flags: int
    blob: Blob | None


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What ends a run besides failure."""

    max_length: int
    loop_stop: bool


class Asked(NamedTuple):
    """What belongs to a run's prompt: its text, and its pictures by role where a model asks."""

    text: str
    pictures: Mapping[str, Any]


NOTHING_ASKED = Asked("", {})


@dataclass(slots=True)
class RunProgress:
    """One run on its way; `current` is what its next model reads, `asked` what stays the same.

    `n_steps` counts the invocations done, which is the next step; `rows` are those of them that
    are recorded, the last few perhaps not yet. `ended` is "" while the run goes on; `is_pending`
    while its last output is not known yet. `redone` holds digests of rows taken back on resuming,
    by step: done again, they must come out the same.
    """

    run: Run
    current: Any
    loop: LoopFinder | None = None
    asked: Asked = NOTHING_ASKED
    rows: list[InvocationRow] = field(default_factory=list)
    n_steps: int = 0
    ended: str = ""
    failure: str = ""
    is_pending: bool = False
    redone: dict[int, str] = field(default_factory=dict)

    @property
    def n_unrecorded(self) -> int:
        """The number of invocations that were done and have no row yet."""
        return self.n_steps - len(self.rows)

    @property
    def is_complete(self) -> bool:
        """Whether the run has ended and all of it is recorded."""
        return bool(self.ended) and not self.n_unrecorded

    def is_ready(self, step: int) -> bool:
        """Return whether `step` is the next thing to do for this run."""
        return not self.ended and self.n_steps == step

    def advance(self, digest: str, limits: RunLimits) -> None:
        """Take note of the next step's output; the run ends where it is long enough or loops."""
        step = self.n_steps
        # The cheapest proof of promise 1 there is: work that is done twice anyway must come out the
        # same.
        if self.redone.pop(step, digest) != digest:
            raise ConflictError(f"Run {self.run.index} differs at step {step} when done again")
        self.n_steps += 1
        found = self.loop is not None and self.loop.see(step, digest)
        if found and limits.loop_stop:
            self.ended = "loop"
        elif self.n_steps == limits.max_length:
            self.ended = "length"

    def fail(self, reason: str) -> None:
        """End the run at its next step, for a reason."""
        self.ended, self.failure = "failed", reason


def seed_of(run: Run, step: int) -> int:
    """Return the seed of a run's invocation at `step`."""
    return run.seed if run.noise == "fixed" else step_seed(run.seed, step)


def apply(record: JournalRecord, runs: Sequence[RunProgress], limits: RunLimits) -> None:
    """Let runs go through a call that a journal tells of."""
    value = record.value
    for position in (*(row[0] for row in value["rows"]), *(run for run, _ in value["failed"])):
        _go_back(runs[position], value["step"])
    for position, digest, *_ in value["rows"]:
        runs[position].advance(digest, limits)
    for position, reason in value["failed"]:
        runs[position].fail(reason)
    add_rows(record, runs)


def add_rows(record: JournalRecord, runs: Sequence[RunProgress]) -> None:
    """Add the rows of a recorded call to the runs that went through it."""
    value, blobs = record.value, iter(record.blobs)
    spent: tuple[float, float, float] = (
        value["started"],
        value["seconds"],
        value.get("joules", math.nan),
    )
    for position, digest, input_tokens, output_tokens, flags, is_stored in value["rows"]:
        # Blobs are there for stored rows only, in their order.
        blob = next(blobs) if is_stored else None
        counts = (digest, input_tokens, output_tokens, flags)
        runs[position].rows.append(InvocationRow(*spent, *counts, blob))


def take_back_unstored(run: RunProgress) -> None:
    """Drop the last rows of a run that goes on until one is stored, so that a model can read it."""
    kept = run.n_steps
    # Down to the prompt if need be, which is never lost.
    while kept and run.rows[kept - 1].blob is None:
        kept -= 1
    if not run.ended:
        _take_back(run, kept)


def _go_back(run: RunProgress, step: int) -> None:
    """Make `step` the next one of a run; ShardError where the run has not come so far."""
    if run.n_steps < step:
        where = f"step {step} of run {run.run.index}, and the one before is missing"
        raise ShardError(f"A checkpoint has {where}", hint="Remove it to start its shard anew")
    _take_back(run, step)


def _take_back(run: RunProgress, step: int) -> None:
    """Make `step` the next one of a run that was further: its rows are to be done again."""
    if run.n_steps <= step:
        return
    run.redone |= {place: run.rows[place].digest for place in range(step, run.n_steps)}
    del run.rows[step:]
    run.n_steps = step
    run.loop = LoopFinder(run.loop.network_length, run.loop.settled_from) if run.loop else None
    for place, row in enumerate(run.rows):
        if run.loop:
            run.loop.see(place, row.digest)
