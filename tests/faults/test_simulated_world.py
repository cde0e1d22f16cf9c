"""Simulated histories of submitters, jobs, clocks and a slow file system: all end in one content.

The functions that decide are the package's; `simulated_world/doors.py` lists what is not. That the
world would see a broken protocol is shown by breaking it.
"""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from little_experiment import plan_little
from simulated_world.history import Lived, Setting, live_all, setting_of, with_limits

from panic_hpc.backends.slurm import arrays, backend, proposal
from panic_hpc.clusters.profiles import load_cluster
from panic_hpc.worker import worker
from panic_hpc.workspace import leases, status
from panic_hpc.workspace.workspace import open_workspace

HISTORIES = int(os.environ.get("PANIC_HPC_FAULT_WORLDS", "300"))
"""Simulated histories; `make faults` asks for 100,000."""
CAUGHT_WITHIN = 400
AT_A_TIME = 2000
ALL_KINDS = {
    "worker killed", "submitter killed", "paused", "node lost", "job lost", "requeued",
    "time limit", "clock jump", "late visibility", "disk full", "work failed", "out of memory",
    "cancelled", "stop", "scheduler deaf", "sbatch refused", "answer of sbatch lost",
}  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[Setting]:
    """Real plans of three shapes, and profiles that differ in what the scheduler allows."""
    folder, site = tmp_path_factory.mktemp("plans"), load_cluster("testbed")
    clusters = tuple(
        with_limits(site, max_array_size=size, max_submitted_tasks=tasks, requeue=requeue)
        for size in (2, 1000)
        for tasks in (4, 1000)
        for requeue in (True, False)
    )
    shapes: tuple[dict[str, Any], ...] = (
        {},
        {"runs_per_shard": 4},
        {"runs_per_shard": 4, "embedding_models": ["DummyText", "DummyVision"]},
    )
    planned = [plan_little(folder / str(n), **shape) for n, shape in enumerate(shapes)]
    return [setting_of(open_workspace(root), clusters) for root in planned]


def lived_by_all(settings: list[Setting], total: int) -> Iterator[Lived]:
    """Yield what came of the histories, on all cores where they are many."""
    parts = [range(k, min(k + AT_A_TIME, total)) for k in range(0, total, AT_A_TIME)]
    if len(parts) == 1:
        yield live_all(settings, parts[0])
        return
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(live_all, [settings] * len(parts), parts)


@pytest.mark.timeout(3600)
def test_every_history_ends_in_the_content_of_the_undisturbed_one(
    settings: list[Setting], injected: Callable[[str, int], None]
) -> None:
    wrong: dict[int, tuple[str, ...]] = {}
    happened: Counter[str] = Counter()
    rounds: Counter[int] = Counter()
    for lived in lived_by_all(settings, HISTORIES):
        wrong |= lived.wrong
        happened += lived.happened
        rounds += lived.rounds
    for kind in sorted(ALL_KINDS):
        injected(f"simulated: {kind}", happened[kind])
    print(f"faults: {rounds.total()} simulated histories, {len(wrong)} wrong: {dict(happened)}")
    print(
        f"faults: rounds of submit and retry after the last disturbance: {sorted(rounds.items())}"
    )
    assert not wrong, dict(list(wrong.items())[:5])
    assert rounds.total() == HISTORIES
    # All that can happen does, or the histories prove less than they say.
    assert happened.keys() >= ALL_KINDS


def without_the_word_before_sbatch() -> Callable[..., None]:
    """Return the ledger's write, which leaves out what has no id yet."""
    write = backend._Dispatch._write

    def after_sbatch_only(self: Any, array_job: Any = None, outcome: str = "") -> None:
        if array_job is None or array_job.job_id:
            write(self, array_job, outcome)

    return after_sbatch_only


def judged_as(state: str) -> Callable[..., str]:
    """Return a judge of leases that takes all of somebody at work for the same."""
    return lambda lease, *seen: state if lease.progress.kind == "running" else "left"


NEVER_LOST = SimpleNamespace(lost=lambda: False)

Broken = list[tuple[Any, str, Any]]
BROKEN: dict[str, Callable[[], Broken]] = {
    "no word in the ledger before sbatch": lambda: [
        (backend._Dispatch, "_write", without_the_word_before_sbatch())
    ],
    "nobody is ever dead": lambda: [(leases, "lease_state", judged_as("held"))],
    "nobody is ever alive": lambda: [(leases, "lease_state", judged_as("void"))],
    "inputs are not asked for": lambda: [(worker, "missing_inputs", lambda *asked: [])],
    "a submitter who was stopped goes on": lambda: [(backend, "_require_held", lambda lock: None)],
    "two may submit at once": lambda: [
        (backend, "only_submitter", lambda _: nullcontext(NEVER_LOST))
    ],
    "what is pending counts as over": lambda: [(status, "ACTIVE", status.ACTIVE - {"PENDING"})],
    "lost shards are not tried again": lambda: [(arrays, "TRIED_AGAIN", ("eligible",))],
    "jobs that never begin stay": lambda: [(proposal, "never_satisfied", lambda found: ())],
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_protocol_without_one_of_its_parts_is_caught(
    settings: list[Setting], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    for place, name, value in BROKEN[broken]():
        monkeypatch.setattr(place, name, value)
    assert live_all(settings, range(CAUGHT_WITHIN), most_wrong=1).wrong


def test_a_history_is_the_same_each_time(settings: list[Setting]) -> None:
    assert live_all(settings, range(5)) == live_all(settings, range(5))
