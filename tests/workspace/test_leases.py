"""Leases: one owner at a time, whatever dies, freezes or races."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from panic_hpc.disk import system
from panic_hpc.workspace import leases
from panic_hpc.workspace.lease_text import Lease, Progress, encode_lease
from panic_hpc.workspace.leases import HeldLease, lease_state, read_lease, take
from panic_hpc.workspace.process import Process, SlurmIds, this_process

ELSEWHERE = Process("other", "other-boot", "pid:[1]", 7, 7, "user", SlurmIds())


def dead_process() -> Process:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return replace(this_process(), pid=child.pid, started=1)


def put(path: Path, owner: Process, **facts: object) -> Lease:
    lease = Lease("dead", owner, "s", time.time(), progress=Progress(updated=time.time()))
    lease = replace(lease, **facts)  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_lease(lease))
    return lease


def test_the_first_one_wins_and_a_live_owner_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    first = take(path, this_process(), "s")
    assert first is not None
    with first:
        assert take(path, this_process(), "s") is None
        assert not first.lost()
    assert not path.exists()


def test_progress_is_read_by_others_and_a_reason_stays(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    held = take(path, this_process(), "s")
    assert held is not None
    with held:
        held.report(3, 10)
        seen = read_lease(path)
        assert seen is not None
        assert (seen.progress.done, seen.progress.total) == (3, 10)
        held.leave("deadline", "é" * 2000)
    left = read_lease(path)
    assert left is not None
    assert left.progress.kind == "deadline"
    assert lease_state(left, None, True, time.time()) == "left"


def test_a_dead_owner_is_followed_and_its_progress_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    put(path, dead_process(), progress=Progress(done=4, total=9, updated=time.time()))
    held = take(path, this_process(), "s")
    assert held is not None
    with held:
        assert held.progress.done == 4
        assert held.lease.deaths == 1
        now = read_lease(path)
        assert now is not None
        assert now.token == held.lease.token
        assert os.listdir(tmp_path) == [path.name]


def test_a_process_on_another_host_is_believed_until_it_falls_silent(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    put(path, ELSEWHERE)
    assert take(path, this_process(), "s") is None
    put(path, ELSEWHERE, progress=Progress(updated=time.time() - leases.STALE_AFTER_S - 1))
    held = take(path, this_process(), "s")
    assert held is not None
    with held:
        pass


def test_the_schedulers_word_voids_a_claim_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    put(path, ELSEWHERE)
    held = take(path, this_process(), "s", is_gone=lambda lease: lease.owner == ELSEWHERE)
    assert held is not None
    with held:
        pass


def test_a_lease_that_is_gone_before_its_maker_opened_it_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, open_existing = tmp_path / "lease", system.open_existing

    def taken_meanwhile(opened: Path) -> int:
        opened.unlink()
        return open_existing(opened)

    monkeypatch.setattr(system, "open_existing", taken_meanwhile)
    assert take(path, this_process(), "s") is None


def test_a_requeued_job_takes_its_own_earlier_claim_and_that_is_no_death(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    put(path, replace(ELSEWHERE, slurm=SlurmIds(job="9", restarts=0)))
    again = replace(this_process(), slurm=SlurmIds(job="9", restarts=1))
    held = take(path, again, "s")
    assert held is not None
    with held:
        assert held.lease.deaths == 0


def test_deaths_count_only_without_progress(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    for deaths, done in ((0, 0), (1, 0), (2, 0), (3, 5)):
        earlier = put(path, dead_process(), deaths=deaths, progress=Progress(done=done, updated=1))
        held = take(path, this_process(), "s")
        assert held is not None
        with held:
            assert held.lease.deaths == (earlier.deaths + 1 if done == 0 else 1)


def test_of_many_that_find_a_dead_claim_exactly_one_follows(tmp_path: Path) -> None:
    for round_number in range(30):
        path = tmp_path / f"runs_{round_number:05d}.json"
        put(path, dead_process())
        barrier, won = threading.Barrier(8), []

        def race(path: Path = path, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            if held := take(path, this_process(), "s"):
                won.append(held)  # noqa: B023

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        with won[0]:
            assert not won[0].lost()


def test_who_follows_an_owner_that_another_has_followed_meanwhile_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs_00000.json"
    put(path, dead_process())
    won, module = [], cast(Any, leases)
    looked = module.is_running

    def another_is_faster(process: Process) -> bool | None:
        # Between the look at the dead owner and the file that follows him.
        monkeypatch.setattr(leases, "is_running", looked)
        won.append(take(path, this_process(), "s"))
        return False

    monkeypatch.setattr(leases, "is_running", another_is_faster)
    assert take(path, this_process(), "s") is None
    [held] = won
    assert held is not None
    with held:
        assert not held.lost()
        assert os.listdir(tmp_path) == [path.name]


def test_who_was_followed_before_he_opened_his_lease_writes_in_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs_00000.json"
    followers: list[HeldLease | None] = []
    opened = system.open_existing

    def after_standing_still(place: Path) -> int:
        monkeypatch.setattr(system, "open_existing", opened)
        followers.append(take(path, this_process(), "s", is_gone=lambda lease: True))
        return opened(place)

    monkeypatch.setattr(system, "open_existing", after_standing_still)
    assert take(path, this_process(), "s") is None
    [follower] = followers
    assert follower is not None
    with follower:
        assert not follower.lost()


@pytest.mark.parametrize("failing", ["the look after the opening", "the opening", "the release"])
def test_a_lease_that_an_error_kept_its_own_process_from_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "runs_00000.json"

    def fail(*asked: Any) -> None:
        raise OSError(errno.EIO, "failed")

    with monkeypatch.context() as patch:
        if failing == "the look after the opening":
            patch.setattr(leases, "read_regular", fail)
            assert take(path, this_process(), "s") is None
        elif failing == "the opening":
            patch.setattr(system, "open_existing", fail)
            with pytest.raises(OSError, match="failed"):
                take(path, this_process(), "s")
        else:
            held = take(path, this_process(), "s")
            assert held
            patch.setattr(system, "remove", fail)
            with pytest.raises(OSError, match="failed"), held:
                pass
    left = read_lease(path)
    assert left
    assert leases.seen_state(left, None, time.time()) == "left"
    held = take(path, this_process(), "s")
    assert held
    with held:
        assert held.lease.deaths == 0
        assert leases.seen_state(held.lease, None, time.time()) == "held"


def test_a_follower_that_died_before_its_rename_is_followed_too(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    first = put(path, dead_process())
    put(leases.successor(path, first), dead_process(), token="second")
    held = take(path, this_process(), "s")
    assert held is not None
    with held:
        assert os.listdir(tmp_path) == [path.name]
        assert not held.lost()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_at_most_one_owner_believes_in_its_claim(
    tmp_path: Path, seed: int
) -> None:
    """Histories of taking, releasing, leaving, dying and thawing; the dead are known to be."""
    chance = random.Random(seed)
    path = tmp_path / "runs_00000.json"
    owners: dict[str, HeldLease] = {}
    frozen: dict[str, HeldLease] = {}

    def is_gone(lease: Lease) -> bool:
        return lease.token not in owners

    for number in range(40):
        event = chance.choice(("take", "take", "take", "release", "leave", "freeze", "thaw"))
        if event == "take":
            me = replace(ELSEWHERE, pid=number)
            if held := take(path, me, "s", is_gone=is_gone):
                owners[held.lease.token] = held
        elif event == "thaw" and frozen:
            _, held = frozen.popitem()
            held._write()
            if held.lost():
                held.leave("stopped", "it was lost")
            else:
                owners[held.lease.token] = held
        elif owners and event != "thaw":
            _, held = owners.popitem()
            if event == "freeze":
                frozen[held.lease.token] = held
                continue
            if event == "leave":
                held.leave("stopped", "so")
            elif not held.lost():
                path.unlink()
        assert sum(not held.lost() for held in owners.values()) <= 1
        assert len(os.listdir(tmp_path)) <= 1


OWNER = """
import sys, time
from pathlib import Path
from panic_hpc.workspace.leases import take
from panic_hpc.workspace.process import this_process
held = take(Path(sys.argv[1]), this_process(), "s")
with held:
    print("held", flush=True)
    sys.stdin.readline()
    held.report(1, 2)
    held._write(durable=True)
    print("lost" if held.lost() else "kept", flush=True)
"""


def test_a_thawed_owner_notices_and_does_not_touch_its_followers_claim(tmp_path: Path) -> None:
    path = tmp_path / "runs_00000.json"
    command = [sys.executable, "-c", OWNER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        child.send_signal(signal.SIGSTOP)
        held = take(path, this_process(), "s", is_gone=lambda lease: True)
        assert held is not None
        with held:
            child.send_signal(signal.SIGCONT)
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "lost\n"
            assert child.wait() == 0
            assert not held.lost()
            now = read_lease(path)
            assert now is not None
            assert now.token == held.lease.token


@pytest.mark.parametrize("content", [b"", b"{}\n{}\n", b"\xff\x00\n\n", b"[1]\n[2]\n"])
def test_damaged_claims_are_nobodys(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs_00000.json"
    path.write_bytes(content)
    held = take(path, this_process(), "s")
    assert held is not None
    with held:
        now = read_lease(path)
        assert now is not None
        assert now.token == held.lease.token
