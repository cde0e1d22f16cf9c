"""Persistence diagrams: this package's engine beside giotto-ph, gudhi and ripser.py.

    python tools/bench_homology.py --quick            a minute or two: what make bench runs
    python tools/bench_homology.py --markdown         the table of docs/benchmarks.md
    python tools/bench_homology.py --cloud traj 5000 1 --engines lazy giotto-ph

Every time is end to end from the points, as each package's own user calls it, in a process of its
own, the median of up to five calls there and of a few processes taken in turn, so that a busy
machine slows all alike. Seconds are CPU seconds; with more than one thread, wall seconds. The
answers are compared by number of bars and total persistence. `predicted` is what cost() says, its
safety factor included, over what was measured, in seconds and in bytes.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import point_clouds

from panic_hpc.homology.cost import cost

QUICK = [("traj", 300, 2), ("absorb", 300, 2)]
FULL = [
    *[(kind, 1000, maxdim) for kind in ("traj", "traj0", "absorb") for maxdim in (1, 2)],
    ("unif", 1000, 1),
    ("unif", 300, 1),
    ("unif", 100, 2),
    ("traj", 2000, 2),
    ("traj", 5000, 1),
    ("traj", 5000, 2),
    ("traj", 10000, 2),
]
LONGEST_S = 900.0
"""A measurement that takes longer is given up and not repeated."""

LARGEST_BYTES = 15_000_000_000
"""Address space that a measurement may take, so that it leaves the machine to others."""

HOPELESS = {("unif", 1000, 1), ("traj", 5000, 2), ("traj", 10000, 2)}
"""Hours or more memory than most machines have: only the lazy engine is asked."""


def lazy(points: Any, maxdim: int, threads: int) -> Any:
    """This package."""
    from panic_hpc.homology.api import diagrams

    return diagrams(points, maxdim, threads=threads).dgms


def giotto_ph(points: Any, maxdim: int, threads: int) -> Any:
    """As upstream calls it."""
    from gph import ripser_parallel

    return ripser_parallel(points, maxdim=maxdim, n_threads=threads)["dgms"]


def gudhi(points: Any, maxdim: int, threads: int) -> Any:
    """Its fastest way, which chooses between Ripser and edge collapse."""
    from gudhi.sklearn.rips_persistence import RipsPersistence

    rips = RipsPersistence(homology_dimensions=list(range(maxdim + 1)), homology_coeff_field=2)
    return rips.fit_transform([points])[0]


def ripser(points: Any, maxdim: int, threads: int) -> Any:
    """ripser.py as it comes."""
    import ripser as package

    return package.ripser(points, maxdim=maxdim)["dgms"]


ENGINES: dict[str, tuple[Callable[[Any, int, int], Any], int]] = {
    "lazy": (lazy, 1),
    "lazy, 2 threads": (lazy, 2),
    "giotto-ph": (giotto_ph, 1),
    "giotto-ph, 2 threads": (giotto_ph, 2),
    "gudhi": (gudhi, 1),
    "ripser.py": (ripser, 1),
}


@dataclass(frozen=True)
class Measurement:
    """One engine on one cloud; `seconds` is None, and `why` says so, where it was given up."""

    seconds: float | None
    peak_mb: float = 0.0
    bars: tuple[int, ...] = ()
    persistence: tuple[float, ...] = ()
    why: str = ""
    distinct: int = 0
    dimension: int = 0


def measure_here(engine: str, kind: str, n: int, maxdim: int) -> None:
    """Run one engine in this process, after a warm-up on 30 points; print JSON."""
    function, threads = ENGINES[engine]
    clock = time.process_time if threads == 1 else time.perf_counter
    points = load(kind, n)
    function(points[:30], maxdim, threads)
    seconds: list[float] = []
    while len(seconds) < 5 and sum(seconds) < 1:
        start = clock()
        dgms = function(points, maxdim, threads)
        seconds.append(clock() - start)
    lengths = [np.diff(np.asarray(dgm, np.float64), axis=1) for dgm in dgms]
    answer = Measurement(
        statistics.median(seconds),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        tuple(int(np.count_nonzero(length > 1e-6)) for length in lengths),
        tuple(float(length[np.isfinite(length)].sum()) for length in lengths),
        distinct=len(np.unique(points, axis=0)),
        dimension=points.shape[1],
    )
    print(json.dumps(asdict(answer)))


def load(kind: str, n: int) -> Any:
    """Points of a kind of tools/point_clouds.py, or the first n rows of a .npy file."""
    if kind in point_clouds.KINDS:
        return point_clouds.make(kind, n)
    return np.ascontiguousarray(np.load(kind)[:n])


def measure(engine: str, kind: str, n: int, maxdim: int) -> Measurement:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", engine, "--cloud", kind, str(n), str(maxdim)]
    command = ["prlimit", f"--as={LARGEST_BYTES}", *command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return Measurement(None, why=f"> {LONGEST_S:.0f} s")
    if done.returncode:
        last = (done.stderr.splitlines() or ["killed"])[-1]
        memory = "MemoryError" in last or "alloc" in last
        return Measurement(None, why=f"> {LARGEST_BYTES / 1e9:.0f} GB" if memory else last)
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def median_of(found: list[Measurement]) -> Measurement:
    """The measurement with the median seconds; a given up one stays so."""
    given_up = [one for one in found if one.seconds is None]
    if given_up:
        return given_up[0]
    middle = statistics.median_low([one.seconds for one in found if one.seconds is not None])
    return next(one for one in found if one.seconds == middle)


def compare(kind: str, n: int, maxdim: int, engines: list[str], repeats: int) -> list[str]:
    """Rows of a table, one an engine; rounds go through all engines in turn."""
    found: dict[str, list[Measurement]] = {engine: [] for engine in engines}
    for _ in range(repeats):
        for engine, so_far in found.items():
            if not so_far or so_far[-1].seconds is not None:
                so_far.append(measure(engine, kind, n, maxdim))
    ours = median_of(found["lazy"])
    return [row((kind, n, maxdim), engine, median_of(m), ours) for engine, m in found.items()]


def row(case: tuple[str, int, int], engine: str, found: Measurement, ours: Measurement) -> str:
    """One line of Markdown."""
    kind, n, maxdim = case
    head = f"| {Path(kind).stem} {n} | H{maxdim} | {engine} |"
    if found.seconds is None or ours.seconds is None:
        return f"{head} {found.why} | | | | |"
    agree = np.allclose(found.persistence[1:], ours.persistence[1:], rtol=1e-4, atol=1e-4)
    ratio = found.seconds / ours.seconds
    numbers = f"{found.seconds:.4f} | {ratio:.1f} | {found.peak_mb:.0f}"
    answer = f"{'same' if agree else 'DIFFERENT'} {list(found.bars)}"
    return f"{head} {numbers} | {answer} | {predicted(engine, maxdim, found)} |"


def predicted(engine: str, maxdim: int, found: Measurement) -> str:
    """What the planner would have said of the lazy engine, over what was measured."""
    if engine != "lazy" or found.seconds is None:
        return ""
    said = cost(found.distinct, found.dimension, maxdim)
    return f"{said.seconds / found.seconds:.1f}, {said.bytes / 1e6 / found.peak_mb:.1f}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small clouds")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    parser.add_argument("--cloud", nargs=3, metavar=("KIND", "N", "MAXDIM"), action="append")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    chosen = [(str(kind), int(n), int(maxdim)) for kind, n, maxdim in asked.cloud or []]
    if asked.one:
        measure_here(asked.one, *chosen[0])
        return
    print("| cloud | to | engine | seconds | times ours | peak MB | answer, bars | predicted |")
    print("|---|---|---|---:|---:|---:|---|---|")
    for kind, n, maxdim in chosen or (FULL if asked.markdown else QUICK):
        hopeless = (kind, n, maxdim) in HOPELESS
        engines = [e for e in asked.engines if e.startswith("lazy") or not hopeless]
        for line in compare(kind, n, maxdim, engines, 1 if asked.quick else asked.repeats):
            print(line, flush=True)


if __name__ == "__main__":
    main()
