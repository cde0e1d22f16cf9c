"""The core without Python: under sanitizers, and on another architecture."""

import math
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panic_hpc.homology
from panic_hpc.homology.api import canonical, diagrams

NATIVE = Path(panic_hpc.homology.__file__).parent / "native"
SOURCES = sorted(path for path in NATIVE.rglob("*.cpp") if path.name != "module.cpp")
X86_FLAGS = {
    "kernels_avx2.cpp": ["-march=x86-64-v3"],
    "kernels_avx512.cpp": ["-march=x86-64-v4"],
    "kernels_amx.cpp": ["-march=x86-64-v4", "-mamx-tile", "-mamx-int8"],
    "dispatch.cpp": ["-DLAZY_AMX"],
}
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]

# Each compiles the core anew.
pytestmark = [pytest.mark.native, pytest.mark.long]


def build(compiler: str, folder: Path, options: list[str], flags: dict[str, list[str]]) -> Path:
    """Compile the core and its program with `compiler`; `flags` has files' own options."""
    objects = []
    for source in SOURCES:
        if source.name.startswith("kernels_a") and not flags:
            continue
        target = folder / f"{source.stem}.o"
        contract = "fast" if source.name.startswith("kernels_") else "off"
        own = [f"-I{NATIVE}", f"-ffp-contract={contract}", *options, *flags.get(source.name, [])]
        command = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", *own]
        subprocess.run([*command, "-c", str(source), "-o", str(target)], check=True)
        objects.append(str(target))
    program = folder / "lazy_diagrams"
    subprocess.run([compiler, *options, *objects, "-o", str(program), "-lpthread"], check=True)
    return program


def run(command: list[str], points: Any, maxdim: int = 2, threads: int = 1) -> list[Any]:
    """Canonical diagrams that the program prints for `points` (n, d)."""
    n, d = points.shape
    printed = subprocess.run(
        [*command, str(n), str(d), str(maxdim), str(threads)],
        input=np.ascontiguousarray(points, np.float32).tobytes(),
        capture_output=True,
        check=True,
        env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"},
    ).stdout.decode()
    bars: list[list[list[float]]] = [[] for _ in range(maxdim + 1)]
    for line in printed.splitlines():
        dimension, birth, death = line.split()
        bars[int(dimension)].append([float.fromhex(birth), _from_hex(death)])
    return [canonical(np.array(dgm, np.float32).reshape(-1, 2)) for dgm in bars]


def _from_hex(text: str) -> float:
    return math.inf if text == "inf" else float.fromhex(text)


def clouds() -> list[Any]:
    """Distinct points: generic, with ties, tiny, wide enough for several cache lines, noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((140, 300))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    return [*(rng.standard_normal((n, 3)) for n in (1, 2, 3, 4, 65, 150)), grid, noise]


def assert_same_as_installed(command: list[str]) -> None:
    for points in clouds():
        expected = diagrams(points).dgms
        for threads in (1, 3):
            found = run(command, points, threads=threads)
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.programs("g++")
@pytest.mark.timeout(1200)  # compiles the core, on a busy machine perhaps for minutes
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    flags = X86_FLAGS if os.uname().machine == "x86_64" else {}
    assert_same_as_installed([str(build("g++", tmp_path, SANITIZE, flags))])


@pytest.mark.programs("aarch64-linux-gnu-g++", "qemu-aarch64")
@pytest.mark.timeout(1200)
def test_aarch64_compiles_and_gives_the_same_bits(tmp_path: Path) -> None:
    program = build("aarch64-linux-gnu-g++", tmp_path, ["-static"], {})
    assert_same_as_installed(["qemu-aarch64", str(program)])
