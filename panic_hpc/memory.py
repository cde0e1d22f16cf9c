"""How much memory this process and its children may use."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

MIB = 2**20


def memory_bytes(
    environ: Mapping[str, str] = os.environ,
    proc: Path = Path("/proc"),
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> int:
    """Return the least of what Slurm grants, control groups allow and the machine has left."""
    return min([_available(proc), *_granted(environ), *_allowed(proc, cgroups)])


def unused_bytes() -> int:
    """Return what this process may still take: of its limit, what it does not hold by now."""
    limits = [*_granted(os.environ), *_allowed(Path("/proc"), Path("/sys/fs/cgroup"))]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    held = pages * os.sysconf("SC_PAGE_SIZE")
    return max(0, min([_available(Path("/proc")), *(limit - held for limit in limits)]))


def _available(proc: Path) -> int:
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _granted(environ: Mapping[str, str]) -> Iterator[int]:
    """Yield Slurm's grant on this node; 0 means all of it."""
    if environ.get("SLURM_MEM_PER_NODE", "").isdigit():
        yield int(environ["SLURM_MEM_PER_NODE"]) * MIB or 2**63
    each, cpus = environ.get("SLURM_MEM_PER_CPU", ""), environ.get("SLURM_CPUS_ON_NODE", "")
    if each.isdigit() and cpus.isdigit():
        yield int(each) * int(cpus) * MIB or 2**63


def _allowed(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield the limits of this process's control group and of all above it (version 2, then 1)."""
    for line in (proc / "self" / "cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        name = _LIMITS[controllers]
        place = os.path.join(cgroups, controllers, *group.strip("/").split("/"))
        root = os.path.join(cgroups, controllers, "").rstrip("/")
        # Plain strings: asked of every cloud of points, and Path objects took ten times as long.
        while len(place := place.rstrip("/")) >= len(root):
            text = _text_of(f"{place}/{name}")
            if text.isdigit():
                yield int(text)
            place = os.path.dirname(place)


def _text_of(file: str) -> str:
    try:
        with open(file) as opened:
            return opened.read().strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


_LIMITS = {"": "memory.max", "memory": "memory.limit_in_bytes"}
