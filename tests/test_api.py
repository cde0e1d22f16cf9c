"""Experiments from Python: planned, submitted, waited for, stopped, gone on with, read."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gating import Gate
from little_experiment import DEFAULTS, Digests, digests, kill_workers, plan_little, wait_for

import panic_hpc
from panic_hpc.backends.base import SilentWatcher, SubmitRequest
from panic_hpc.backends.local.background import decode_request, encode_request
from panic_hpc.clusters.profiles import available, load_cluster
from panic_hpc.errors import Interrupted, LaunchError, PanicError
from panic_hpc.paths import ExperimentPaths
from panic_hpc.worker.stopper import write_halt
from panic_hpc.workspace.leases import read_lease
from panic_hpc.workspace.status import Status
from panic_hpc.workspace.workspace import Workspace, open_workspace

SLOW_S = 0.2


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Workspace]:
    """Three shards of runs of more than a second each."""
    yield open_workspace(plan_little(tmp_path / "slow", delay_s=SLOW_S))
    kill_workers(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """What the slow experiment comes to in one process, worked on as one shard."""
    root = plan_little(tmp_path_factory.mktemp("undisturbed"), runs_per_shard=6, delay_s=SLOW_S)
    panic_hpc.submit(open_workspace(root), request(executor="inline"), wait=True)
    return digests(root)


def request(**asked: Any) -> SubmitRequest:
    return panic_hpc.request_for("local", **asked)


def is_on_its_way(workspace: Workspace) -> bool:
    leases = workspace.paths.leases.glob("[!.]*.json")
    return any(lease.progress.done > 0 for path in leases if (lease := read_lease(path)))


def test_a_whole_experiment_from_python_prints_nothing(
    experiment_file: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = experiment_file(homology={"engine": "gudhi", "maxdim": 1})
    workspace = panic_hpc.plan(file, tmp_path / "exp", runs_per_shard=2)
    assert panic_hpc.preview(file, tmp_path / "exp").key == workspace.manifest.key
    assert {row["state"] for row in panic_hpc.status_rows(workspace)} == {"eligible", "waiting"}
    panic_hpc.submit(workspace, request(executor="inline"), wait=True)
    frame = panic_hpc.status(workspace)
    assert frame["state"].unique().to_list() == ["completed"]
    assert frame.filter(frame["stage"] == "runs")["n_runs"].sum() == workspace.manifest.n_runs
    with panic_hpc.open(workspace.paths.dataset) as dataset:
        assert dataset.n_runs == 4
    assert capfd.readouterr() == ("", "")


def test_work_in_the_background_is_waited_for(
    gate: Gate, slow: Workspace, undisturbed: Digests
) -> None:
    submission = panic_hpc.submit(slow, request(workers=2))
    assert submission is not None
    assert submission.pid != os.getpid()
    assert submission.is_running_here
    early = panic_hpc.wait(slow, timeout_s=0.1)
    assert not early.is_complete
    gate.open()
    assert panic_hpc.wait(slow, poll_s=0.2).is_complete
    assert digests(slow.paths.root) == undisturbed


def test_ctrl_c_is_an_error_to_catch_and_the_same_call_goes_on(
    gate: Gate, slow: Workspace, undisturbed: Digests
) -> None:
    def interrupt() -> None:
        wait_for(lambda: is_on_its_way(slow), "a step")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted, match="everything done so far is kept"):
        panic_hpc.submit(slow, request(workers=2), wait=True)
    thread.join()
    state = panic_hpc.wait(slow)
    assert not state.is_complete
    assert list((slow.paths.root / "checkpoints").glob("*.journal"))
    gate.open()
    panic_hpc.submit(slow, request(workers=2), wait=True)
    assert panic_hpc.wait(slow).is_complete
    assert digests(slow.paths.root) == undisturbed


def test_a_request_to_stop_ends_the_background_and_is_forgotten_by_the_next(
    gate: Gate, slow: Workspace
) -> None:
    panic_hpc.submit(slow, request(workers=1))
    wait_for(lambda: is_on_its_way(slow), "a step")
    write_halt(slow.paths.halt, "ada", None)
    gate.open()
    assert not panic_hpc.wait(slow, poll_s=0.2).is_complete
    told: list[str] = []

    class Listener(SilentWatcher):
        def tell(self, line: str) -> None:
            told.append(line)

        def end(self, stage: str, state: Status) -> None:
            told.append(state.summary(stage))

    asked = request(workers=2, stages=("runs",))
    panic_hpc.submit(slow, asked, wait=True, progress=Listener())
    assert told == [
        "There was a request to stop; it is withdrawn by this submission",
        "runs: 3 completed",
    ]


def test_a_submission_that_cannot_begin_says_where_its_words_are(slow: Workspace) -> None:
    slow.paths.jobs.mkdir(parents=True)
    slow.paths.ledger.write_text("no directory")
    with pytest.raises((LaunchError, PanicError, OSError), match=r"background\.log|ledger"):
        panic_hpc.submit(slow, request(workers=1))


def test_what_is_asked_for_travels_whole_to_the_background() -> None:
    for name in available():
        asked = SubmitRequest(load_cluster(name), ("runs",), retry=True, workers=3, any_node=True)
        assert decode_request(encode_request(asked)) == asked


def test_an_unknown_stage_is_refused_before_anything_starts(slow: Workspace) -> None:
    with pytest.raises(PanicError, match="no stage 'rnus'"):
        panic_hpc.submit(slow, request(stages=("rnus",)))
    assert not slow.paths.jobs.exists()


def test_planning_names_its_directory_after_the_file(
    experiment_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = experiment_file("mine.json", **{key: DEFAULTS[key] for key in ("prompts", "seeds")})
    monkeypatch.chdir(tmp_path)
    assert panic_hpc.plan(file).paths.root == tmp_path / "mine"
    assert ExperimentPaths(tmp_path / "mine").manifest.exists()
