"""Persistence diagrams: this package's engine beside every peer that is installed.

    python tools/bench_homology.py                    what make bench runs, ten minutes or so
    python tools/bench_homology.py --full             the table of docs/benchmarks.md
    python tools/bench_homology.py --cloud traj 5000 1 --engines lazy redzed-tda

    pip install redzed-tda holos-tda oineus ripser    peers that no extra of this package brings

Every time is end to end from the points, as each package's own user calls it, on one thread and in
a process of its own: the median of up to five calls there, and of a few processes taken in turn, so
that a busy machine slows all alike. Seconds are CPU seconds; with more than one thread, wall
seconds. Bars longer than 1e-6 are compared: `equal` is bit for bit, `same` by number and by total
persistence, since the packages sum distances in different ways. `predicted` is what cost() says,
its safety factor included, over what was measured, in seconds and in bytes.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import point_clouds
from ratios import record

from panic_hpc.homology.cost import cost
from panic_hpc.homology.distance_matrix import loops_per_point

QUICK = [
    *[(kind, 1000, 1) for kind in ("traj", "traj0", "absorb")],
    ("traj", 2000, 1),
    ("traj", 300, 2),
    ("unif", 300, 1),
    ("unif", 500, 1),
    ("unif", 100, 2),
    ("unif", 150, 2),
]
FULL = [
    *[(kind, n, 1) for kind in ("traj", "traj0", "absorb") for n in (1000, 2000, 5000)],
    *[(kind, 1000, 2) for kind in ("traj", "traj0", "absorb")],
    ("traj", 2000, 2),
    ("traj", 10000, 2),
    *[("unif", n, 1) for n in (300, 500, 1000)],
    *[("unif", n, 2) for n in (100, 150, 300)],
]
LONGEST_S = 300.0
"""A measurement that takes longer is given up."""

LONGEST_REPEATED_S = 2.0
"""One that takes longer is not repeated: seconds beside our milliseconds need no median."""

LARGEST_BYTES = 15_000_000_000
"""Address space that a measurement may take, so that it leaves the machine to others."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


def lazy(points: Any, maxdim: int, threads: int) -> Any:
    """This package."""
    from panic_hpc.homology import diagrams

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


def redzed(points: Any, maxdim: int, threads: int) -> Any:
    """As its page shows it, distances included."""
    import redzed_tda

    return redzed_tda.rips(redzed_tda.pairwise_distances(points), maxdim=maxdim)


def holos(points: Any, maxdim: int, threads: int) -> Any:
    """From points; its answer is a list of (dimension, birth, death)."""
    from holos_tda import rips_points

    bars = np.array(rips_points(points, max_dim=maxdim, threads=threads), np.float64).reshape(-1, 3)
    return [bars[bars[:, 0] == k, 1:] for k in range(maxdim + 1)]


def oineus(points: Any, maxdim: int, threads: int) -> Any:
    """It counts dimensions of simplices, one more than those of bars."""
    import oineus as package

    found = package.compute_diagrams_vr(points.astype(np.float64), max_dim=maxdim + 1)
    return [found.in_dimension(k) for k in range(maxdim + 1)]


@dataclass(frozen=True)
class Engine:
    """How an engine is called, and up to which sizes it can be waited for (and fed)."""

    function: Callable[[Any, int, int], Any]
    package: str
    threads: int = 1
    most_points: tuple[int, int] = (10**9, 10**9)
    """Of trajectories up to H1 and up to H2."""
    most_noise: tuple[int, int] = (10**9, 10**9)

    def can_be_asked(self, kind: str, n: int, maxdim: int) -> bool:
        """Whether an answer is to be hoped for within LONGEST_S."""
        most = self.most_noise if kind == "unif" else self.most_points
        return maxdim == 0 or n <= most[maxdim > 1]


ENGINES = {
    "lazy": Engine(lazy, "panic-hpc"),
    "lazy, 2 threads": Engine(lazy, "panic-hpc", 2),
    "redzed-tda": Engine(redzed, "redzed-tda", 1, (5000, 1000), (1000, 150)),
    "giotto-ph": Engine(giotto_ph, "giotto-ph", 1, (5000, 1000), (300, 150)),
    "giotto-ph, 2 threads": Engine(giotto_ph, "giotto-ph", 2, (5000, 1000), (300, 150)),
    "gudhi": Engine(gudhi, "gudhi", 1, (5000, 1000), (300, 150)),
    "ripser.py": Engine(ripser, "ripser", 1, (2000, 500), (300, 150)),
    "holos-tda": Engine(holos, "holos-tda", 1, (2000, 300), (300, 150)),
    "oineus": Engine(oineus, "oineus", 1, (500, 100), (100, 50)),
}
ONE_THREAD = [name for name, engine in ENGINES.items() if engine.threads == 1]


@dataclass(frozen=True)
class Measurement:
    """One engine on one cloud; `seconds` is None, and `why` says so, where it was given up."""

    seconds: float | None
    peak_mb: float = 0.0
    bars: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Of H1 on, by birth, then death."""
    why: str = ""
    distinct: int = 0
    dimension: int = 0
    loops: float = 0.0


def measure_here(engine: str, kind: str, n: int, maxdim: int) -> None:
    """Run one engine in this process, after a warm-up on 30 points; print JSON."""
    function, threads = ENGINES[engine].function, ENGINES[engine].threads
    clock = time.process_time if threads == 1 else time.perf_counter
    points = load(kind, n)
    function(points[:30], maxdim, threads)
    seconds: list[float] = []
    while len(seconds) < 5 and sum(seconds) < 1:
        start = clock()
        dgms = function(points, maxdim, threads)
        seconds.append(clock() - start)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    answer = Measurement(
        statistics.median(seconds),
        peak_mb,
        tuple(sorted_bars(dgm) for dgm in dgms[1:]),
        distinct=len(np.unique(points, axis=0)),
        dimension=points.shape[1],
        loops=loops_per_point(points),
    )
    print(json.dumps(asdict(answer)))


def sorted_bars(dgm: Any) -> tuple[tuple[float, float], ...]:
    """Bars longer than 1e-6 as float32, by birth, then death."""
    bars = np.asarray(dgm, np.float32).reshape(-1, 2)
    bars = bars[bars[:, 1] - bars[:, 0] > 1e-6]
    return tuple(map(tuple, bars[np.lexsort((bars[:, 1], bars[:, 0]))].tolist()))


def load(kind: str, n: int) -> Any:
    """Points of a kind of tools/point_clouds.py, or the first n rows of a .npy file."""
    if kind in point_clouds.KINDS:
        return point_clouds.make(kind, n)
    return np.ascontiguousarray(np.load(kind)[:n])


def measure(engine: str, kind: str, n: int, maxdim: int) -> Measurement:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", engine, "--cloud", kind, str(n), str(maxdim)]
    command = ["prlimit", f"--as={LARGEST_BYTES}", *command]
    environ = {**os.environ, **dict.fromkeys(THREADS, str(ENGINES[engine].threads))}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return Measurement(None, why=f"> {LONGEST_S:.0f} s")
    if done.returncode:
        last = (done.stderr.splitlines() or ["killed"])[-1]
        memory = "MemoryError" in last or "alloc" in last
        return Measurement(None, why=f"> {LARGEST_BYTES / 1e9:.0f} GB" if memory else last)
    # JSON knows no tuples, but both sides come this way.
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
            if not so_far or (so_far[-1].seconds or LONGEST_S) < LONGEST_REPEATED_S:
                so_far.append(measure(engine, kind, n, maxdim))
    ours = median_of(found["lazy"])
    for engine, measurements in found.items():
        record_ratio((kind, n, maxdim), engine, median_of(measurements), ours)
    return [row((kind, n, maxdim), engine, median_of(m), ours) for engine, m in found.items()]


def record_ratio(
    case: tuple[str, int, int], engine: str, found: Measurement, ours: Measurement
) -> None:
    """Put how many times longer a peer took into the table of tools/bench.py."""
    if engine == "lazy" or found.seconds is None or ours.seconds is None:
        return
    kind, n, maxdim = case
    package = ENGINES[engine].package
    what = f"{package} {version(package)} ÷ lazy, {Path(kind).stem} {n} up to H{maxdim}, CPU s"
    aim = {"unif": "≥ 1"}.get(kind, "≥ 3" if maxdim == 1 else "≥ 100" if n >= 1000 else "")
    record(what, found.seconds / ours.seconds, aim if engine == "redzed-tda" else "")


def row(case: tuple[str, int, int], engine: str, found: Measurement, ours: Measurement) -> str:
    """One line of Markdown."""
    kind, n, maxdim = case
    head = f"| {Path(kind).stem} {n} | H{maxdim} | {engine} |"
    if found.seconds is None or ours.seconds is None:
        return f"{head} {found.why} | | | | |"
    numbers = f"{found.seconds:.4f} | {found.seconds / ours.seconds:.2f} | {found.peak_mb:.0f}"
    answer = f"{agreement(found, ours)} {[len(bars) for bars in found.bars]}"
    return f"{head} {numbers} | {answer} | {predicted(engine, maxdim, found)} |"


def agreement(found: Measurement, ours: Measurement) -> str:
    """How the bars of two engines compare."""
    if found.bars == ours.bars:
        return "equal"
    for theirs, own in zip(found.bars, ours.bars, strict=True):
        total, own_total = (sum(death - birth for birth, death in bars) for bars in (theirs, own))
        if len(theirs) != len(own) or not np.isclose(total, own_total, rtol=1e-4, atol=1e-4):
            return "DIFFERENT"
    return "same"


def predicted(engine: str, maxdim: int, found: Measurement) -> str:
    """What the planner would have said of the lazy engine, over what was measured."""
    if engine != "lazy" or found.seconds is None:
        return ""
    said = cost(found.distinct, found.dimension, maxdim, found.loops)
    return f"{said.seconds / found.seconds:.1f}, {said.bytes / 1e6 / found.peak_mb:.1f}"


def installed(engines: list[str]) -> list[str]:
    """Those of `engines` that are there; says which are and which are not."""
    there, missing = [], []
    for name in engines:
        package = ENGINES[name].package
        try:
            there.append((name, f"{package} {version(package)}"))
        except PackageNotFoundError:
            missing.append(package)
    print(f"{date.today()}, {processor()}, load {os.getloadavg()[0]:.1f}")
    print(", ".join(dict.fromkeys(text for _, text in there)))
    if missing:
        print(f"Not installed, so not compared: pip install {' '.join(dict.fromkeys(missing))}")
    return [name for name, _ in there]


def processor() -> str:
    """The processor's name and the number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else platform.machine()}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the table of docs/benchmarks.md")
    parser.add_argument("--cloud", nargs=3, metavar=("KIND", "N", "MAXDIM"), action="append")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ONE_THREAD)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    chosen = [(str(kind), int(n), int(maxdim)) for kind, n, maxdim in asked.cloud or []]
    if asked.one:
        measure_here(asked.one, *chosen[0])
        return
    engines = installed(list(dict.fromkeys(["lazy", *asked.engines])))
    print("\n| cloud | to | engine | CPU s | times ours | peak MB | bars | predicted |")
    print("|---|---|---|---:|---:|---:|---|---|")
    for case in chosen or (FULL if asked.full else QUICK):
        able = [name for name in engines if ENGINES[name].can_be_asked(*case)]
        for line in compare(*case, able, asked.repeats):
            print(line, flush=True)


if __name__ == "__main__":
    main()
