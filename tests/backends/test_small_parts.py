"""The small decisions of execution, each by its table."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.backends.slurm.retry_policy import (
    ShardFailure,
    bad_nodes,
    died_of_memory,
    memory_factor,
    shard_failure,
)
from panic_hpc.backends.slurm.usage import parse_memory
from panic_hpc.disk.private_dirs import private_folder
from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.stages.base import in_order
from panic_hpc.types import Shard, ShardId
from panic_hpc.worker.device import cores, device, gpu_numbers, own_gpu, thread_settings
from panic_hpc.worker.stopper import (
    RESERVE_S,
    Stopper,
    deadline,
    halt_reason,
    signals_noted,
    write_halt,
)
from panic_hpc.workspace.events import read_events, say_event
from panic_hpc.workspace.failures import Failure, failure_of, read_failure, write_failure
from panic_hpc.workspace.lease_text import Lease, Progress
from panic_hpc.workspace.ledger import (
    ArrayJob,
    new_submission,
    read_ledger,
    read_submission,
    write_submission,
)
from panic_hpc.workspace.process import SlurmIds, is_running, slurm_ids, this_process
from panic_hpc.workspace.rate import rate
from panic_hpc.workspace.status import QueueEntry

SHARD = ShardId("runs", 1)


def failure(host: str, kind: str = "OSError", memory: bool = False) -> Failure:
    return Failure(kind, "r", "t", host, "1", "s", 0.0, memory)


@pytest.mark.parametrize(
    ("ends", "bad"),
    [
        ("", ()),
        ("OSError/n1/7_0", ()),
        ("OSError/n1/7_0 OSError/n1/7_1", ("n1",)),
        ("OSError/n1/7_0 OSError/n1/7_0", ()),
        ("OSError/n1/7_0 OSError/n1/7_1 OSError/n2/7_2", ()),
        ("OSError/n1/7_0 OSError/n1/7_1 ValueError/n2/7_2", ("n1",)),
        ("lost/n1/7_0 OSError/n1/7_1", ("n1",)),
        ("lost//7_0 lost//7_1 lost//7_2", ()),
    ],
)
def test_nodes_are_bad_only_for_what_happens_nowhere_else_and_in_several_jobs(
    ends: str, bad: tuple[str, ...]
) -> None:
    assert bad_nodes([ShardFailure(*one.split("/")) for one in ends.split()]) == bad


def test_where_a_shard_came_to_its_end() -> None:
    owner = replace(this_process(), slurm=SlurmIds("8", "7", "1", node="n2"))
    lease, entry = Lease("t", owner, "s", 0.0), QueueEntry("7_1", "FAILED", nodes="n3")
    left = replace(lease, progress=Progress("stopped"))
    assert shard_failure(failure("n1"), lease, entry) == ShardFailure("OSError", "n1", "1")
    assert shard_failure(None, lease, entry) == ShardFailure("lost", "n2", "7_1")
    assert shard_failure(None, left, entry) == ShardFailure("lost", "n3", "7_1")
    assert shard_failure(None, None, None) == ShardFailure("lost", "", "")


@pytest.mark.parametrize(
    ("asked", "profile", "factor"),
    [(2.0, 2.0, 2), (4.0, 2.0, 4), (2.0, 3.0, 2), (2.0, 4.0, 1), (2.0, 9.0, 1), (None, 2.0, 2)],
)
def test_every_retry_asks_for_twice_the_memory_of_the_last(
    asked: float | None, profile: float, factor: int
) -> None:
    assert memory_factor(asked, profile) == factor


@pytest.mark.parametrize(
    ("record", "entry", "log", "expected"),
    [
        (failure("n", memory=True), None, "", True),
        (failure("n"), None, "Out Of Memory", False),
        (None, QueueEntry("1", "OUT_OF_MEMORY"), "", True),
        (None, QueueEntry("1", "FAILED"), "slurmstepd: Exceeded memory limit", True),
        (None, None, "all is well", False),
    ],
)
def test_who_died_of_memory(
    record: Failure | None, entry: QueueEntry | None, log: str, expected: bool
) -> None:
    assert died_of_memory(SHARD, record, entry, log) is expected


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("no room"), False),
    ],
)
def test_errors_of_memory_are_known(error: Exception, memory: bool) -> None:
    assert failure_of(error, this_process(), "s").memory is memory


def test_a_failure_survives_its_file_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    assert read_failure(path) is None
    write_failure(path, failure("n"))
    assert read_failure(path) == failure("n")
    path.write_text("{")
    damaged = read_failure(path)
    assert damaged is not None
    assert damaged.kind == "damaged record"


@pytest.mark.parametrize(
    ("environ", "nodes", "gpus", "expected"),
    [
        ({}, [], [], "cpu"),
        ({}, ["nvidia0", "nvidia10", "nvidia2", "nvidiactl"], ["0", "2", "10"], "cuda"),
        ({"CUDA_VISIBLE_DEVICES": ""}, ["nvidia0"], [], "cpu"),
        ({"CUDA_VISIBLE_DEVICES": "1,3"}, ["nvidia0"], ["1", "3"], "cuda"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, [], ["0"], "cpu"),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ["nvidia0"], [], "cpu"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ["nvidia0"], [], "cpu"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1a, MIG-2b"}, ["nvidia0"], ["GPU-1a", "MIG-2b"], "cuda"),
        ({"PANIC_HPC_DEVICE": "cpu"}, ["nvidia0"], ["0"], "cpu"),
    ],
)
def test_devices(
    tmp_path: Path, environ: dict[str, str], nodes: list[str], gpus: list[str], expected: str
) -> None:
    for name in nodes:
        (tmp_path / name).touch()
    assert gpu_numbers(environ, tmp_path) == gpus
    assert device(environ, tmp_path) == expected


def test_tasks_of_a_node_share_its_gpus() -> None:
    two = {"CUDA_VISIBLE_DEVICES": "4,5"}
    assert [own_gpu(rank, 2, two)["CUDA_VISIBLE_DEVICES"] for rank in (0, 1)] == ["4", "5"]
    assert own_gpu(0, 2, {"CUDA_VISIBLE_DEVICES": "4"}) == {}
    assert own_gpu(0, 1, two) == {}
    shared = [own_gpu(rank, 4, two)["CUDA_VISIBLE_DEVICES"] for rank in range(4)]
    assert shared == ["4", "4", "5", "5"]
    amd = {"ROCR_VISIBLE_DEVICES": "0,1,2,3"}
    assert own_gpu(1, 2, amd) == {"ROCR_VISIBLE_DEVICES": "2,3"}


def test_threads_are_fixed_for_every_library() -> None:
    assert set(thread_settings(3).values()) == {"3", "false"}


def test_events_are_found_among_other_words(capsys: pytest.CaptureFixture[str]) -> None:
    say_event("begins", Shard("runs", 3, "", 0, 1), host="n")
    log = "noise\n" + capsys.readouterr().out + "panic-hpc-event {torn"
    (event,) = read_events(log)
    assert (event["event"], event["shard"], event["host"]) == ("begins", "runs_00003", "n")


def test_the_ledger_keeps_what_it_is_told(tmp_path: Path) -> None:
    first = new_submission("slurm", "site")
    array_job = ArrayJob("runs", "runs-k-1", ((0, 1), (2,)), "/f", options={"gpus": 1})
    write_submission(tmp_path, first.with_array_job(array_job))
    known = replace(array_job, job_id="7")
    write_submission(tmp_path, first.with_array_job(array_job).with_array_job(known))
    (found,) = read_ledger(tmp_path)
    assert found.array_jobs == (known,)
    assert (known.task_id(1), known.is_array) == ("7_1", True)
    assert read_ledger(tmp_path / "absent") == []
    (tmp_path / "x.json").write_text(json.dumps({"chunks": [{}]}))
    with pytest.raises(PanicError, match=r"x\.json is not a submission"):
        read_submission(tmp_path / "x.json")


def test_private_folders(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o1000
    folder.chmod(0o770)
    with pytest.raises(LaunchError, match="not private"):
        private_folder(folder)


def test_the_deadline_counts_the_next_step_and_the_reserve(tmp_path: Path) -> None:
    stopper = Stopper(tmp_path / "halt", deadline=time.time() + RESERVE_S + 10)
    assert stopper(5.0) == ""
    assert "walltime" in stopper(11.0)
    assert stopper.cause == "deadline"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"PANIC_HPC_DEADLINE": ""}, None),
        ({"PANIC_HPC_DEADLINE": "12", "SLURM_JOB_END_TIME": "13"}, 12.0),
        ({"PANIC_HPC_DEADLINE": "", "SLURM_JOB_END_TIME": "13"}, 13.0),
    ],
)
def test_deadlines(environ: dict[str, str], expected: float | None) -> None:
    assert deadline(environ) == expected


def test_halts(tmp_path: Path) -> None:
    path = tmp_path / "halt.json"
    assert halt_reason(path, 100.0) == ""
    write_halt(path, "ada", 200.0)
    assert halt_reason(path, 199.0) == ""
    assert "ada" in halt_reason(path, 201.0)


def test_a_signal_is_noted_and_a_second_interrupt_means_it(tmp_path: Path) -> None:
    stopper = Stopper(tmp_path / "halt")
    with signals_noted(stopper):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopper(0.0) == "received SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stopper.cause == "signal"


def test_a_worker_ends_with_the_process_it_works_for(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    stopper = Stopper(tmp_path / "halt", parent=child)
    assert stopper(0.0) == ""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    stopper._looked = 0.0
    assert "has ended" in stopper(0.0)


def test_processes_are_known_by_more_than_their_pid() -> None:
    me = this_process()
    assert is_running(me) is True
    assert is_running(replace(me, started=me.started + 1)) is False
    assert is_running(replace(me, boot="other")) is None
    assert type(me).from_json(json.loads(json.dumps(me.to_json()))) == me


def test_slurm_ids() -> None:
    environ = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
    assert slurm_ids(environ).label == "7_2"
    assert slurm_ids({"SLURM_JOB_ID": "9", "SLURM_RESTART_COUNT": "3"}).restarts == 3
    assert slurm_ids({}).label == ""


def test_pace() -> None:
    one = rate([0.0, 1800.0, 3600.0], 4.0)
    assert one is not None
    assert (one.per_hour, one.hours_left) == (2.0, 2.0)
    assert rate([5.0, 5.0], 1.0) is None


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("12K", 12288), ("1.5G", 1.5 * 2**30)])
def test_memory_as_sacct_writes_it(text: str, expected: float) -> None:
    assert parse_memory(text) == expected


def test_two_stages_in_a_circle_are_refused(counted: Any) -> None:
    counted.stages["runs"].after = ("embeddings",)
    with pytest.raises(PanicError, match="circle"):
        in_order(counted.stages)


def test_slurm_grants_cores_within_what_the_process_may_use() -> None:
    allowed = len(os.sched_getaffinity(0))
    assert cores({}) == allowed
    assert cores({"SLURM_CPUS_PER_TASK": "1"}) == 1
    assert cores({"SLURM_CPUS_PER_TASK": "4096"}) == allowed
    assert cores({"SLURM_CPUS_PER_TASK": "none"}) == allowed
