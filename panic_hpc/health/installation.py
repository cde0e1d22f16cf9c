"""What is installed here: versions, native core, commands, places to write, terminal."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from types import ModuleType
from typing import Any

from panic_hpc.disk.sha256 import find_native as find_hashing
from panic_hpc.errors import PanicError
from panic_hpc.homology.native_core import find_native as find_core
from panic_hpc.models.hub.cache import cache_directory
from panic_hpc.versions import own_version, version_of
from panic_hpc.worker.device import device, gpu_numbers

COMMANDS = {
    "mpiexec": "To merge with several ranks, load an MPI, or pip install mpich",
    "sbatch": "Submitting to a cluster needs Slurm's commands: try a login node",
    "apptainer": "Container images need apptainer",
}


@dataclass(frozen=True, slots=True)
class InstallationFinding:
    """One thing that was looked at: whether it is as it should be, and what to do where not.

    `state` is ok, absent (needed by some only) or wrong.
    """

    name: str
    state: str
    found: str
    hint: str = ""
    is_library: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return asdict(self)


def inspect_installation(
    environ: Mapping[str, str] = os.environ,
) -> Iterator[InstallationFinding]:
    """Yield what there is here; nothing is imported that takes seconds, nothing is asked for."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield InstallationFinding("panic-hpc", "ok", f"{own_version()} in Python {version}")
    yield from _requirements()
    yield _compiled("native core", find_core, 'Homology needs it, or engine = "gudhi"')
    yield _compiled("native hashing", find_hashing, "Merge and verify hash without it, slower")
    for command, hint in COMMANDS.items():
        where = shutil.which(command) or ""
        state = "ok" if where else "absent"
        yield InstallationFinding(command, state, where, "" if where else hint)
    gpus = gpu_numbers(environ)
    yield InstallationFinding("device", "ok", f"{device(environ)}, {len(gpus)} GPUs")
    yield _writable("model cache", cache_directory(environ))
    yield _writable("scratch", Path(environ.get("TMPDIR", "/tmp")))
    yield from _terminal()


def _terminal() -> Iterator[InstallationFinding]:
    encoding = sys.stdout.encoding or "none"
    if encoding.lower().replace("-", "") == "utf8":
        yield InstallationFinding("locale", "ok", encoding)
    else:
        hint = "Set LANG=C.UTF-8: arrows show as escapes"
        yield InstallationFinding("locale", "absent", encoding, hint)
    columns = shutil.get_terminal_size().columns
    is_wide = columns >= 80
    hint = "" if is_wide else "Tables are made for 80"
    yield InstallationFinding("terminal", "ok" if is_wide else "absent", f"{columns} columns", hint)


def _requirements() -> Iterator[InstallationFinding]:
    """Yield the libraries that this package names, with the versions that it was tried with."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        yield InstallationFinding("versions", "absent", "not compared", "pip install packaging")
        return
    try:
        named = [Requirement(line) for line in requires("panic-hpc") or ()]
    except PackageNotFoundError:
        named = []
    seen: set[str] = set()
    for one in named:
        version = version_of(one.name)
        if one.name in seen or not version:
            continue
        seen.add(one.name)
        fits = one.specifier.contains(version, prereleases=True)
        yield InstallationFinding(one.name, "ok" if fits else "wrong", version,
                                  "" if fits else f"Tried with {one.specifier}",
                                  is_library=True)  # fmt: skip


def _compiled(
    name: str, find: Callable[[], ModuleType | None], without: str
) -> InstallationFinding:
    try:
        found = find()
    except (ImportError, PanicError) as error:
        return InstallationFinding(name, "wrong", str(error), "Install panic-hpc again")
    if found is None:
        return InstallationFinding(name, "absent", "", without)
    return InstallationFinding(name, "ok", str(found.__file__))


def _writable(name: str, path: Path) -> InstallationFinding:
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if os.access(nearest, os.W_OK | os.X_OK):
        free = shutil.disk_usage(nearest).free / 1e9
        return InstallationFinding(name, "ok", f"{path}, {free:.0f} GB free")
    return InstallationFinding(name, "wrong", str(path), f"{nearest} cannot be written to")
