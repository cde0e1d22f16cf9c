"""Workers and the submitting process are killed at seeded moments; nothing is lost or changed."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from little_experiment import command_line, kill_workers, plan_little, run_command

import panic_hpc
from panic_hpc.health.experiment import verify_experiment
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.workspace.workspace import open_workspace

HISTORIES = int(os.environ.get("PANIC_HPC_FAULT_HISTORIES", "1"))
MOST_KILLS = 4
LATEST_S = 5.0


def content_key(root: Path) -> str:
    with panic_hpc.open(root / "dataset.h5") as dataset:
        return dataset.content_key


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = plan_little(tmp_path_factory.mktemp("undisturbed") / "EXP", delay_s=0.1)
    panic_hpc.submit(
        open_workspace(root), panic_hpc.request_for("local", executor="inline"), wait=True
    )
    return content_key(root)


def disturb(submitting: "subprocess.Popen[bytes]", root: Path, kind: str) -> None:
    """Do one of the things that happen to processes on clusters."""
    if kind == "worker":
        kill_workers(root)
    elif kind == "term":
        kill_workers(root, signal.SIGTERM)
    elif kind == "pause":
        kill_workers(root, signal.SIGSTOP)
        time.sleep(1.0)
        kill_workers(root, signal.SIGCONT)
    else:
        submitting.send_signal(signal.SIGKILL if kind == "submitter" else signal.SIGINT)


@pytest.mark.parametrize("history", range(HISTORIES))
def test_whatever_is_killed_submitting_again_ends_in_the_same_content(
    tmp_path: Path, injected: Callable[[str, int], None], undisturbed: str, history: int
) -> None:
    chance = random.Random(history)
    root = plan_little(tmp_path / "EXP", delay_s=0.1)
    kinds: list[str] = []
    for _ in range(chance.randint(2, MOST_KILLS)):
        submitting = subprocess.Popen(
            command_line("submit", root, "--workers", "2"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(chance.uniform(0.5, LATEST_S))
        kinds.append(chance.choice(["worker", "term", "pause", "submitter", "interrupt"]))
        disturb(submitting, root, kinds[-1])
        try:
            submitting.wait(60)
        except subprocess.TimeoutExpired:
            submitting.kill()
            submitting.wait()
        kill_workers(root)
    run_command("retry", root, "--workers", "2", "--yes", code=0) if _has_failures(root) else None
    run_command("submit", root, "--workers", "2")
    assert content_key(root) == undisturbed, kinds
    checked = list(verify_experiment(root, ALL, lambda done, total: None))
    assert not [one for one in checked if one.findings], kinds
    for kind in kinds:
        injected(f"real process: {kind}", 1)
    print(f"faults: history {history}: {', '.join(kinds)}; content key as undisturbed")


def _has_failures(root: Path) -> bool:
    return any((root / "failed").glob("[!.]*.json"))
