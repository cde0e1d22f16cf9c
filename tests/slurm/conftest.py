"""The testbed as a fixture: a real Slurm on this host, started once for all tests that use it."""

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "slurm" / "testbed"))
testbed_module: Any = importlib.import_module("testbed")


@pytest.fixture(scope="session")
def shared_slurm() -> Iterator[Any]:
    """A running Slurm; use `slurm`, which also points this process at it."""
    # MPICH names its segments by job id, and a new testbed counts from 1 again: what a killed job
    # left behind makes MPI_Init hang or fail.
    for stale in Path("/dev/shm").glob("mpich_shm_*"):
        stale.unlink(missing_ok=True)
    testbed = testbed_module.start(testbed_module.Settings())
    yield testbed
    testbed.stop()


@pytest.fixture
def slurm(shared_slurm: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The shared Slurm, with SLURM_CONF set; whatever a test leaves in the queue is cancelled."""
    monkeypatch.setenv("SLURM_CONF", str(shared_slurm.conf))
    yield shared_slurm
    shared_slurm.cancel_jobs()


@pytest.fixture(scope="session")
def shared_accounting_slurm() -> Iterator[Any]:
    """A running Slurm with slurmdbd, so that sacct is real."""
    testbed = testbed_module.start(testbed_module.Settings(accounting=True))
    yield testbed
    testbed.stop()


@pytest.fixture
def accounting_slurm(
    shared_accounting_slurm: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The Slurm with accounting, with SLURM_CONF set."""
    monkeypatch.setenv("SLURM_CONF", str(shared_accounting_slurm.conf))
    yield shared_accounting_slurm
    shared_accounting_slurm.cancel_jobs()


@pytest.fixture
def start_slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that starts a Slurm with settings of a test's own, stopped after the test."""
    started: list[Any] = []

    def start(**settings: Any) -> Any:
        testbed = testbed_module.start(testbed_module.Settings(**settings))
        started.append(testbed)
        monkeypatch.setenv("SLURM_CONF", str(testbed.conf))
        return testbed

    yield start
    for testbed in started:
        testbed.stop()


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """A directory that every user can write to, as project directories on clusters are."""
    directory = Path(tempfile.mkdtemp(prefix="panic-shared-"))
    directory.chmod(0o1777)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def image() -> Path:
    """The container image, built by `make image` or named by PANIC_HPC_TEST_IMAGE."""
    named = os.environ.get("PANIC_HPC_TEST_IMAGE", "")
    path = Path(named or Path(__file__).parents[2] / "panic-hpc-cpu.sif")
    if not named and shutil.which("apptainer") is None:
        pytest.skip("there is no Apptainer on this machine")
    if not named and not path.exists():
        pytest.skip("there is no container image here: `make image` builds it")
    return path
