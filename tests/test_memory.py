"""The memory that is ours: the least of three answers."""

from pathlib import Path

import pytest

from panic_hpc.memory import memory_bytes

GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a root with 8 GiB available and a control group two levels deep."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {8 * 2**20} kB\n")
    (tmp_path / "proc/self/cgroup").write_text("1:cpu:/x\n0::/job/step\n")
    (tmp_path / "cgroup/job/step").mkdir(parents=True)
    return tmp_path


def found(machine: Path, environ: dict[str, str] | None = None) -> int:
    return memory_bytes(environ or {}, machine / "proc", machine / "cgroup")


def test_without_limits_it_is_what_is_available(machine: Path) -> None:
    assert found(machine) == 8 * GIB


@pytest.mark.parametrize("directory", ["job/step", "job", ""])
def test_every_control_group_above_counts(machine: Path, directory: str) -> None:
    (machine / "cgroup/job/step/memory.max").write_text("max\n")
    (machine / "cgroup" / directory / "memory.max").write_text(f"{3 * GIB}\n")
    assert found(machine) == 3 * GIB


def test_version_one_has_other_names(machine: Path) -> None:
    (machine / "proc/self/cgroup").write_text("4:memory:/slurm\n0::/\n")
    (machine / "cgroup/memory/slurm").mkdir(parents=True)
    (machine / "cgroup/memory/slurm/memory.limit_in_bytes").write_text(str(2 * GIB))
    assert found(machine) == 2 * GIB


@pytest.mark.parametrize(
    ("environ", "gib"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, 4),
        ({"SLURM_MEM_PER_NODE": "0"}, 8),
        ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "5"}, 5),
    ],
)
def test_slurm_s_grant_counts(machine: Path, environ: dict[str, str], gib: int) -> None:
    assert found(machine, environ) == gib * GIB


def test_this_machine_has_some() -> None:
    assert memory_bytes() > 10**8
