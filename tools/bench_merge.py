"""Merge against `cat`, a plain h5py loop and HDF5's own object copy, over the same shard files.

    python tools/bench_merge.py [--directory DIR] [--large-gb 4] [--small 5000] [--repeats 5]
        [--opening 10000000]

Sources are in the page cache, every variant ends with fsync, variants alternate, medians are shown
with their ratio to `cat`, and the processor time of all threads and ranks, which other work on the
machine disturbs less. Needs twice the bytes on disk.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
from ratios import record

from panic_hpc.keys import content_key
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.inputs import Input, MergeInputs
from panic_hpc.merging.merge import join
from panic_hpc.merging.ranks import Ranks, find_ranks
from panic_hpc.merging.unify import ExperimentInfo, NetworkInfo
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.store.format.shard import ShardHeader, publish_shard
from panic_hpc.store.results.base import runs_kind
from panic_hpc.types import RUNS, ModelSpec, Prompt, Shard

KEY = "0" * 32
STEPS = 16


def write_shard(path: Path, number: int, n_runs: int, image_bytes: int) -> None:
    """Publish a runs shard: `n_runs` runs of STEPS invocations, every second one an image."""
    rng = np.random.default_rng(number)
    n = n_runs * STEPS
    n_images = n // 2
    first = number * n_runs
    step = np.tile(np.arange(STEPS), n_runs)
    keys = [content_key([number, run]).encode() for run in range(n_runs)]
    values = {
        "runs/index": np.arange(first, first + n_runs),
        "runs/key": keys,
        "runs/n_steps": np.full(n_runs, STEPS),
        "invocations/step": step,
        "invocations/model": step % 2,
        "invocations/modality": 1 - step % 2,
        "texts/invocation": np.flatnonzero(step % 2 == 1),
        "texts/offsets": offsets_of([40] * n_images),
        "texts/values": rng.integers(97, 122, 40 * n_images),
        "images/invocation": np.flatnonzero(step % 2 == 0),
        "images/offsets": offsets_of([image_bytes] * n_images),
        "images/values": np.frombuffer(rng.bytes(image_bytes * n_images), np.uint8),
        "failures/offsets": [0],
    }
    counts = {"run": n_runs, "invocation": n, "failure": 0, "failure_byte": 0}
    arrays = {
        name: np.asarray(values.get(name, np.zeros(counts.get(column.rows, 0))), column.dtype)
        for name, column in runs_kind().by_name.items()
        if name != "runs/digest" and column.group not in ("sounds", "films")
    }
    publish_shard(path, ShardHeader(RUNS, number, "", KEY), arrays)


def inputs_of(directory: Path, n_runs: int) -> MergeInputs:
    """Return what merge takes, for the shards that `write_shard` put into `directory`."""
    paths = sorted(directory.glob("*.h5"))
    models = tuple(
        ModelSpec(name, "bench", "text", "image", name, "", "", 1, {}) for name in ("A", "B")
    )
    info = ExperimentInfo(
        KEY, "bench", "bench", {}, (Prompt("p"),), (NetworkInfo(KEY, models),), (),
        n_runs * len(paths),
    )  # fmt: skip
    there = [
        Input(0, Shard(RUNS, number, "", number * n_runs, n_runs), path, KEY, "")
        for number, path in enumerate(paths)
    ]
    return MergeInputs([info], there)


def merge_seconds(
    directory: Path, n_runs: int, target: Path, check: bool, ranks: Ranks
) -> tuple[float, float, float]:
    """Merge; return (seconds, processor seconds, peak memory of a rank in MB)."""
    ranks.each(lambda: None)
    start, before = time.perf_counter(), time.process_time()
    given = inputs_of(directory, n_runs)
    join(given, target, MergeOptions(check=check), ranks)
    ranks.each(lambda: None)
    seconds = time.perf_counter() - start
    cpu = time.process_time() - before
    return seconds, sum(ranks.each(lambda: cpu)), max(ranks.each(peak_mb))


def peak_mb() -> float:
    """Return the peak memory of this process; ru_maxrss would include its parent's at the fork."""
    (line,) = (text for text in Path("/proc/self/status").read_text().splitlines()
               if text.startswith("VmHWM"))  # fmt: skip
    return int(line.split()[1]) / 1024


def worker(arguments: argparse.Namespace) -> None:
    """Merge once in a fresh process, perhaps one of several ranks; print what it took."""
    ranks = find_ranks()
    target = arguments.directory / "out.h5"
    found = merge_seconds(arguments.shards, arguments.n_runs, target, not arguments.no_check, ranks)
    if ranks.rank == 0:
        print(json.dumps(found))


def start_worker(
    directory: Path, shards: Path, n_runs: int, check: bool, size: int
) -> tuple[float, float, float]:
    """Run `worker` in `size` processes; MPI's where there is more than one."""
    launcher = [mpiexec(), "-n", str(size)] if size > 1 else []
    command = [
        *launcher, sys.executable, __file__, "--worker", "--directory", str(directory),
        "--shards", str(shards), "--n-runs", str(n_runs), *([] if check else ["--no-check"]),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=mpi_environment()
    )
    seconds, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu, peak


def mpiexec() -> str:
    """Return the mpiexec of this environment, or the first on PATH."""
    import mpi4py

    places = [Path(sys.executable).parent, Path(mpi4py.__file__).parents[4] / "bin"]
    path = os.pathsep.join([*map(str, places), os.environ["PATH"]])
    return str(shutil.which("mpiexec", path=path))


def mpi_environment() -> dict[str, str]:
    """Return an environment in which mpi4py finds the library that mpiexec belongs to."""
    return os.environ | {"LD_LIBRARY_PATH": str(Path(mpiexec()).parents[1] / "lib")}


def cat(paths: Sequence[Path], target: Path) -> None:
    """Concatenate the files and sync."""
    with target.open("wb") as stream:
        subprocess.run(["xargs", "-0", "cat"], input=b"\0".join(os.fsencode(p) for p in paths),
                       stdout=stream, check=True)  # fmt: skip
        os.fsync(stream.fileno())


def h5py_loop(paths: Sequence[Path], target: Path) -> None:
    """Join the shards as one would with h5py: sizes first, then read and write, then sync."""
    names = [name for name in runs_kind().by_name if not name.startswith(("sounds", "films"))]
    sizes = dict.fromkeys(names, 0)
    dtypes = {}
    for path in paths:
        with h5py.File(path, "r") as file:
            for name in names:
                sizes[name] += file[name].shape[0]
                dtypes[name] = file[name].dtype
    with h5py.File(target, "w") as out:
        at = dict.fromkeys(names, 0)
        for name in names:
            out.create_dataset(name, (sizes[name],), dtypes[name])
        for path in paths:
            with h5py.File(path, "r") as file:
                for name in names:
                    rows = file[name][...]
                    out[name][at[name] : at[name] + len(rows)] = rows
                    at[name] += len(rows)
        out.flush()
        os.fsync(out.id.get_vfd_handle())


def h5copy(paths: Sequence[Path], target: Path) -> None:
    """Copy each shard's objects into a group of its own with H5Ocopy, as the h5copy tool does."""
    with h5py.File(target, "w") as out:
        for number, path in enumerate(paths):
            with h5py.File(path, "r") as file:
                group = out.create_group(str(number))
                for name in file:
                    file.copy(name, group)
        out.flush()
        os.fsync(out.id.get_vfd_handle())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds and the processor seconds that `work` takes, its children's included."""
    start, before = time.perf_counter(), os.times()
    work()
    now = os.times()
    return time.perf_counter() - start, sum(now[:4]) - sum(before[:4])


def compare(directory: Path, shards: Path, n_runs: int, repeats: int) -> None:
    """Print a table of all variants over the shards of one folder."""
    paths = sorted(shards.glob("*.h5"))
    nbytes = sum(path.stat().st_size for path in paths)
    target = directory / "out.h5"
    variants: dict[str, Callable[[], tuple[float, float]]] = {
        "cat": lambda: timed(lambda: cat(paths, target)),
        "h5py loop": lambda: timed(lambda: h5py_loop(paths, target)),
        "H5Ocopy": lambda: timed(lambda: h5copy(paths, target)),
    }
    peaks: dict[str, float] = {}

    def ours(check: bool, size: int) -> Callable[[], tuple[float, float]]:
        def run() -> tuple[float, float]:
            seconds, cpu, peak = start_worker(directory, shards, n_runs, check, size)
            name = f"merge {'check' if check else 'no check'}, {size} rank{'s' * (size > 1)}"
            peaks[name] = max(peak, peaks.get(name, 0.0))
            return seconds, cpu

        return run

    for check in (False, True):
        for size in (1, 2):
            name = f"merge {'check' if check else 'no check'}, {size} rank{'s' * (size > 1)}"
            variants[name] = ours(check, size)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for path in paths:
        path.read_bytes()
    for _ in range(repeats):
        for name, variant in variants.items():
            target.unlink(missing_ok=True)
            found[name].append(variant())
    medians = {
        name: [statistics.median(column) for column in zip(*values, strict=True)]
        for name, values in found.items()
    }
    print(f"{len(paths)} shards, {nbytes / 1e9:.2f} GB, median of {repeats}")
    print(f"{'':24}{'s':>8}{'cpu s':>8}{'GB/s':>8}{'of cat':>8}{'x h5py':>8}{'MB/rank':>9}")
    for name, (seconds, cpu) in medians.items():
        ratio, faster = medians["cat"][0] / seconds, medians["h5py loop"][0] / seconds
        peak = f"{peaks[name]:9.0f}" if name in peaks else ""
        speed = nbytes / seconds / 1e9
        row = f"{name:24}{seconds:8.2f}{cpu:8.2f}{speed:8.2f}{ratio:8.2f}{faster:8.2f}{peak}"
        print(row, flush=True)
        if name in peaks:
            aim = {"merge check, 1 rank": "≥ 0.8"}.get(name, "") if nbytes > 5e8 else ""
            record(f"cat ÷ {name}, {len(paths)} shards, {nbytes / 1e9:.2f} GB", ratio, aim)


def opening(directory: Path, n_invocations: int) -> None:
    """Print how long it takes to open so many invocations and to read one run of them."""
    shards = directory / "wide"
    n_runs = n_invocations // STEPS // 10
    for number in range(10):
        write_shard(shards / f"{number:05d}.h5", number, n_runs, 1)
    target = directory / "wide.h5"
    start_worker(directory, shards, n_runs, True, 1)
    (directory / "out.h5").rename(target)
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        dataset = open_dataset(target)
        opened = time.perf_counter()
        dataset.texts(5 * n_runs)
        seconds.append((opened - start, time.perf_counter() - opened))
    rows = dataset.file.rows("invocations/step")
    medians = [statistics.median(values) for values in zip(*seconds, strict=True)]
    print(f"open {rows:,} invocations: {medians[0] * 1e3:.1f} ms, ", end="")
    print(f"texts of one run: {medians[1] * 1e3:.2f} ms")


def main() -> None:
    """Parse, write the shards, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--large-gb", type=float, default=4.0)
    parser.add_argument("--small", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--opening", type=int, default=10_000_000, metavar="INVOCATIONS")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--shards", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--n-runs", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--no-check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments)
        return
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        directory = Path(name)
        image_bytes = int(arguments.large_gb * 1e9 / 64 / 8 / (STEPS // 2))
        for number in range(64 if arguments.large_gb else 0):
            write_shard(directory / "large" / f"{number:05d}.h5", number, 8, image_bytes)
        for number in range(arguments.small):
            write_shard(directory / "small" / f"{number:05d}.h5", number, 2, 4000)
        if arguments.large_gb:
            compare(directory, directory / "large", 8, arguments.repeats)
            shutil.rmtree(directory / "large")
        if arguments.small:
            compare(directory, directory / "small", 2, arguments.repeats)
        opening(directory, arguments.opening)


if __name__ == "__main__":
    main()
