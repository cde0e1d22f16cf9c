"""How far runs are, and what journal records make of that."""

import pytest

from panic_hpc.errors import ConflictError, ShardError
from panic_hpc.stages.runs.loops import LoopFinder
from panic_hpc.stages.runs.progress import (
    RunLimits,
    RunProgress,
    add_rows,
    apply,
    seed_of,
    take_back_unstored,
)
from panic_hpc.store.journal import Blob, JournalRecord
from panic_hpc.types import Noise, Run

LIMITS = RunLimits(max_length=6, loop_stop=True)


def progress(noise: Noise = "fixed") -> RunProgress:
    return RunProgress(Run(7, "key", 0, 0, 41, noise), "prompt", LoopFinder(2))


def record(
    step: int, *rows: tuple[int, str, bool], failed: list[list[object]] | None = None
) -> JournalRecord:
    """Return the record of a call: (run, digest, is stored) for each row."""
    values = [[run, digest, -1, -1, 0, stored] for run, digest, stored in rows]
    blobs = tuple(Blob(place, 1) for place, row in enumerate(rows) if row[2])
    value = {"step": step, "started": 1.0, "seconds": 0.1, "rows": values, "failed": failed or []}
    return JournalRecord(value, blobs)


def test_rows_and_blobs_find_their_runs() -> None:
    runs = [progress(), progress(), progress()]
    apply(record(0, (2, "a", True), (0, "b", False), (1, "c", True)), runs, LIMITS)
    assert [run.rows[0].digest for run in runs] == ["b", "c", "a"]
    assert [run.rows[0].blob for run in runs] == [None, Blob(2, 1), Blob(0, 1)]


def test_a_run_ends_by_length_loop_or_failure() -> None:
    runs = [progress(), progress(), progress()]
    for step, digest in enumerate("abcdef"):
        apply(record(step, (0, digest, True)), runs, LIMITS)
    for step, digest in enumerate("xyx"):
        apply(record(step, (1, digest, True)), runs, LIMITS)
    apply(record(0, failed=[[2, "for a reason"]]), runs, LIMITS)
    assert [run.ended for run in runs] == ["length", "loop", "failed"]
    loop = runs[1].loop
    assert loop is not None
    assert (loop.start, loop.length) == (0, 2)
    assert (runs[2].failure, runs[2].n_steps) == ("for a reason", 0)
    assert not any(run.is_ready(run.n_steps) for run in runs)


def test_rows_behind_the_last_stored_one_are_taken_back_with_what_the_loop_finder_saw() -> None:
    run = progress()
    for step, (digest, stored) in enumerate([("a", False), ("b", True), ("c", False)]):
        apply(record(step, (0, digest, stored)), [run], LIMITS)
    take_back_unstored(run)
    assert run.n_steps == 2
    assert run.is_ready(2)
    apply(record(2, (0, "c", False)), [run], LIMITS)
    assert run.ended == ""


def test_what_is_done_again_must_come_out_the_same() -> None:
    run = progress()
    apply(record(0, (0, "a", False)), [run], LIMITS)
    take_back_unstored(run)
    with pytest.raises(ConflictError, match="Run 7 differs at step 0"):
        apply(record(0, (0, "other", False)), [run], LIMITS)


def test_a_journal_with_a_hole_is_refused() -> None:
    run = progress()
    apply(record(0, (0, "a", True)), [run], LIMITS)
    with pytest.raises(ShardError, match="step 2 of run 7"):
        apply(record(2, (0, "c", True)), [run], LIMITS)


def test_a_run_goes_on_before_its_outputs_are_recorded() -> None:
    run = progress()
    for digest in "xyx":
        run.advance(digest, LIMITS)
    assert (run.ended, run.n_unrecorded, run.is_complete) == ("loop", 3, False)
    for step, digest in enumerate("xyx"):
        add_rows(record(step, (0, digest, True)), [run])
    assert run.is_complete


def test_a_journal_that_did_a_step_twice_is_read_like_one_that_did_it_once() -> None:
    once, twice = progress(), progress()
    calls = [record(0, (0, "a", False)), record(1, (0, "b", True)), record(2, (0, "c", False))]
    for call in calls:
        apply(call, [once], LIMITS)
    for call in [calls[0], *calls[:2], calls[2], calls[2]]:
        apply(call, [twice], LIMITS)
    assert once.rows == twice.rows


def test_an_ended_run_takes_nothing_back() -> None:
    run = progress()
    for step, digest in enumerate("aba"):
        apply(record(step, (0, digest, False)), [run], LIMITS)
    take_back_unstored(run)
    assert (run.ended, run.n_steps) == ("loop", 3)


def test_seeds_are_the_run_s_own_or_a_step_s() -> None:
    fixed, per_step = progress().run, progress("per_step").run
    assert {seed_of(fixed, step) for step in range(5)} == {41}
    assert len({seed_of(per_step, step) for step in range(5)}) == 5
