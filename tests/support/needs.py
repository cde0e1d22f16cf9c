"""What tests need of the machine: a test that cannot have it skips, and says what would be needed.

Markers name it (`slurm`, `apptainer`, `mpi`, `compute`, `native`, `programs`); conftest.py looks.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

PACKAGES = {
    "strace": "strace",
    "g++": "g++",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "qemu-aarch64": "qemu-user",
    "chromium": "chromium",
}
"""Debian's package of a program."""

IMAGE = Path(
    os.environ.get("PANIC_HPC_TEST_IMAGE") or Path(__file__).parents[2] / "panic-hpc-cpu.sif"
)
"""The container image that tests run."""

DAEMONS_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where Slurm's daemons lie, which an ordinary user's PATH does not name."""


def library(name: str, extra: str) -> Any:
    """Import and return `name`, or skip the module or test that calls this."""
    return pytest.importorskip(name, reason=_install(name.partition(".")[0], extra))


def lacking(item: pytest.Item) -> str:
    """Return what the markers of a test ask for and this machine lacks, "" where all is there."""
    looks = [look for name, look in _LOOKS.items() if item.get_closest_marker(name)]
    found = [why for look in looks for why in look()]
    wanted = {name for marker in item.iter_markers("programs") for name in marker.args}
    return "; ".join(dict.fromkeys([*found, *_programs(sorted(wanted))]))


def _install(name: str, extra: str) -> str:
    return f"needs {name} (pip install '.[{extra}]')"


def _libraries(extra: str, *names: str) -> list[str]:
    return [_install(name, extra) for name in names if importlib.util.find_spec(name) is None]


def _programs(names: Iterable[str]) -> list[str]:
    return [
        f"needs {name} (Debian's package {PACKAGES[name]})"
        for name in names
        if shutil.which(name) is None
    ]


def _slurm() -> list[str]:
    if shutil.which("slurmctld", path=DAEMONS_PATH) is None:
        return ["needs a Slurm of its own (as root on Debian: slurm/testbed/install)"]
    return [] if os.geteuid() == 0 else ["needs root, whom Slurm's daemons run as"]


def _apptainer() -> list[str]:
    if shutil.which("apptainer") is None:
        return ["needs Apptainer (as root on Debian: slurm/testbed/install-apptainer)"]
    # A named image that is not there is a mistake, which the test then says.
    if IMAGE.exists() or "PANIC_HPC_TEST_IMAGE" in os.environ:
        return []
    return ["needs a container image (make image builds it, PANIC_HPC_TEST_IMAGE names it)"]


def _native() -> list[str]:
    if importlib.util.find_spec("panic_hpc.homology._native") is not None:
        return []
    return ["needs the native core (install with a C++ compiler, without PANIC_HPC_PURE)"]


_LOOKS: dict[str, Callable[[], list[str]]] = {
    "slurm": _slurm,
    "apptainer": _apptainer,
    "native": _native,
    "mpi": lambda: _libraries("mpi", "mpi4py"),
    "compute": lambda: _libraries(
        "compute", "torch", "diffusers", "transformers", "sentence_transformers"
    ),
}
