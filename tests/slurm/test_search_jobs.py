"""A search on a real Slurm whose driver is killed goes on to the same end as one here."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import needs
import pytest
from clusters import slurm_command
from little_experiment import command_line, run_command, wait_for
from little_search import keys_of, written

pytestmark = [pytest.mark.slurm, pytest.mark.long]
needs.library("optuna", "search")

# The job is in the queue; what would have told its number anywhere is no more.
KILLS_ITS_CALLER = """#!/bin/sh
case "$*" in *--test-only* | *--version*) exec {sbatch} "$@" ;; esac
{sbatch} "$@"
[ -e {once} ] || {{ touch {once}; kill -9 $PPID; }}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path)


def killing_sbatch(folder: Path) -> str:
    """Return a PATH whose sbatch kills who calls it, once, after it has submitted."""
    folder.mkdir()
    program = folder / "sbatch"
    program.write_text(
        KILLS_ITS_CALLER.format(sbatch=shutil.which("sbatch"), once=folder / "killed")
    )
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def here(file: Path, tmp_path: Path) -> tuple[Any, list[str]]:
    """What the search ends with on this machine."""
    asked = ("search", file, tmp_path / "here", "--executor", "inline", "--json")
    return json.loads(run_command(*asked)), keys_of(tmp_path / "here")


def test_a_driver_killed_while_it_waits_goes_on_by_the_same_command(
    slurm: Any, file: Path, tmp_path: Path, here: tuple[Any, list[str]]
) -> None:
    words = ("search", file, tmp_path / "there", "--cluster", "testbed", "--json")
    with subprocess.Popen(command_line(*words), stdout=subprocess.DEVNULL) as driver:
        wait_for(lambda: slurm_command("squeue", "--noheader").strip(), "jobs in the queue")
        driver.send_signal(signal.SIGKILL)
    assert (json.loads(run_command(*words)), keys_of(tmp_path / "there")) == here


def test_a_driver_killed_before_it_wrote_down_what_sbatch_said_goes_on_to_the_end(
    slurm: Any, file: Path, tmp_path: Path, here: tuple[Any, list[str]]
) -> None:
    words = ("search", file, tmp_path / "there", "--cluster", "testbed", "--json")
    path = killing_sbatch(tmp_path / "bin")
    killed = subprocess.run(
        command_line(*words), env={**os.environ, "PATH": path}, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    # Once: the jobs in the queue find nothing to do, and what they lose is submitted again.
    assert (json.loads(run_command(*words)), keys_of(tmp_path / "there")) == here
