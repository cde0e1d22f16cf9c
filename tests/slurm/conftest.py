"""The testbed as a fixture: a real Slurm on this host, started once for all tests that use it."""

import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
from clusters import SLOW_S
from little_experiment import Digests, digests, plan_little, run_command

sys.path.insert(0, str(Path(__file__).parents[2] / "slurm" / "testbed"))
testbed_module: Any = importlib.import_module("testbed")


@pytest.fixture(scope="session")
def shared_slurm() -> Iterator[Any]:
    """A running Slurm; use `slurm`, which also points this process at it."""
    testbed = testbed_module.start(testbed_module.Settings())
    yield testbed
    testbed.stop()


@pytest.fixture
def slurm(shared_slurm: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The shared Slurm, with SLURM_CONF set; what a test leaves in the queue is cancelled.

    What it left down, controller or nodes, comes back: the next test is not to fail with it.
    """
    monkeypatch.setenv("SLURM_CONF", str(shared_slurm.conf))
    yield shared_slurm
    shared_slurm.bring_back_controller()
    shared_slurm.cancel_jobs()
    shared_slurm.bring_back_nodes()


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
def expected_quick(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """Everything about the quick experiment, worked on by the local executor."""
    root = plan_little(tmp_path_factory.mktemp("quick"), runs_per_shard=6)
    run_command("submit", root, "--executor", "inline")
    return digests(root)


@pytest.fixture(scope="session")
def expected_slow(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """The runs of the slow experiment, worked on by the local executor."""
    root = plan_little(tmp_path_factory.mktemp("slow"), delay_s=SLOW_S)
    run_command("submit", root, "--workers", "3", "--stage", "runs")
    return digests(root)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Three shards of some six seconds each."""
    return plan_little(tmp_path / "slow", delay_s=SLOW_S)


@pytest.fixture(scope="session")
def image() -> Path:
    """The container image, built by `make image` or named by PANIC_HPC_TEST_IMAGE."""
    return needs.IMAGE
