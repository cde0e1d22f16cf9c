"""A container image file: what it is, told from its header; and which image this process runs in.

SIF files begin with a script line of 32 bytes, then the magic word, the version of the format and
the architecture (https://github.com/apptainer/sif, `docs/specs`: the global header).
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.disk.files import open_regular
from panic_hpc.errors import LaunchError

MAGIC = b"SIF_MAGIC\0"
MAGIC_AT = 32
ARCHITECTURE_AT = MAGIC_AT + len(MAGIC) + 3
ARCHITECTURES = {
    b"01\0": "386", b"02\0": "x86_64", b"03\0": "armv7l", b"04\0": "aarch64", b"05\0": "ppc64",
    b"06\0": "ppc64le", b"10\0": "s390x", b"11\0": "riscv64",
}  # fmt: skip
BUILD_FILE = Path("/opt/panic-hpc/build.json")
BUILD_VARIABLE = "PANIC_HPC_BUILD"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header of an image file says."""

    path: Path
    architecture: str


@dataclass(frozen=True, slots=True)
class Build:
    """How an image was made; `id` is new with every build."""

    id: str
    version: str
    commit: str
    lock: str


def check_image(path: Path) -> ImageFacts:
    """Return the facts of the image at `path`; a directory (sandbox) has this machine's.

    Raises LaunchError where it is absent, no SIF file, or built for another architecture.
    """
    here = platform.machine()
    if path.is_dir():
        return ImageFacts(path, here)
    try:
        with open_regular(path) as file:
            # Read here instead of by the runtime, which a login node may lack.
            header = file.read(64)
    except OSError as error:
        raise LaunchError(
            f"The container image {path} cannot be read: {error.strerror}",
            hint="Build it with `make image`, or give --image FILE.sif",
        ) from error
    if header[MAGIC_AT : MAGIC_AT + len(MAGIC)] != MAGIC:
        raise LaunchError(f"{path} is no container image (not a SIF file)", hint="Try `file` on it")
    code = header[ARCHITECTURE_AT : ARCHITECTURE_AT + 3]
    architecture = ARCHITECTURES.get(code, "an unknown architecture")
    if architecture != here:
        raise LaunchError(
            f"The container image {path} was built for {architecture}, and this machine is {here}",
            hint="Build it on a machine of this kind",
        )
    return ImageFacts(path, architecture)


def inspect_image(container: tuple[str, ...], image: Path) -> Build:
    """Return how `image` was built, asked by running it once.

    `container` are the words of execution.container.container_words, unquoted. Raises LaunchError
    where the image cannot be started or has no panic-hpc in it.
    """
    try:
        done = subprocess.run(
            [*container, "cat", str(BUILD_FILE)],
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"The container image {image} cannot be started: {error}") from error
    if done.returncode:
        # The runtime's warnings come before the line that says why it ended.
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LaunchError(
            f"There is no panic-hpc in the container image {image}: {said}",
            hint="Build it with `make image`",
        )
    return Build(**json.loads(done.stdout))


def running_build(file: Path = BUILD_FILE) -> Build | None:
    """Return how the image that this process runs in was built, None outside of one of ours."""
    try:
        return Build(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None


def refuse_other_build(
    expected: str, running: Build | None, environ: Mapping[str, str] = os.environ
) -> None:
    """Raise LaunchError where this is not the image that was submitted.

    `expected` is the submitter's Build.id, "" for work submitted without a container.
    """
    actual = running.id if running else ""
    if actual == expected or environ.get("PANIC_HPC_ALLOW_OTHER_IMAGE") == "1":
        return
    raise LaunchError(
        f"This process runs in {_named(actual)}, and the work was submitted for {_named(expected)}",
        hint="Submit again, or set PANIC_HPC_ALLOW_OTHER_IMAGE=1 to mix the two",
    )


def _named(build: str) -> str:
    return f"the container image of build {build}" if build else f"no container ({sys.executable})"
