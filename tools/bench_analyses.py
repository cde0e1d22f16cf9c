"""Processor time and memory of every analysis, on planted runs that are mapped from a file.

    python tools/bench_analyses.py [NAMES] [--directory DIR] [--networks 4] [--prompts 20]
        [--runs 4] [--states 300] [--dimensions 768] [--growth]

The states are those of `panic-hpc simulate`; with the defaults they take 0.3 GB in DIR, once, and
are kept there with --keep, for the next call with the same sizes. Each analysis has a process and
one thread to itself. Said of each: seconds of its processor time; the most memory that was its own,
without pages of the mapped file, which the kernel takes back when it needs them; and with --growth
the ratio of its seconds to those of every second run, and of the first half of every run: 2 where
it grows as its data does, 1 where it looks at a fixed number.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from ratios import record

from panic_hpc.analysis import TrajectorySet, analysis
from panic_hpc.analysis.running import available
from panic_hpc.analysis.simulation.planted import Planted
from panic_hpc.analysis.simulation.simulated import planted_labels
from panic_hpc.analysis.simulation.states import prompt_vector, run_states

STATES, PLANTED = "states.f32", "planted.json"
WORDS = np.array([f"word{number}" for number in range(400)])


def write(planted: Planted, directory: Path) -> None:
    """Write the states of all runs into `directory`, unless the same are there."""
    told = json.dumps({name: str(value) for name, value in asdict(planted).items()})
    if (directory / PLANTED).exists() and (directory / PLANTED).read_text() == told:
        return
    with (directory / STATES).open("wb") as file:
        for run in range(planted.n_runs):
            file.write(np.ascontiguousarray(run_states(planted, run)[0], "<f4").data)
    (directory / PLANTED).write_text(told)


def opened(planted: Planted, directory: Path) -> TrajectorySet:
    """Return the runs, mapped, with made-up captions of ten words that last some states."""
    shape = (planted.n_runs, planted.states, planted.dimensions)
    vectors = np.memmap(directory / STATES, "<f4", "r", shape=shape)
    prompts = np.array([prompt_vector(planted, prompt) for prompt in range(planted.prompts)])
    of_run = [planted.run(run)[1] for run in range(planted.n_runs)]

    def texts(run: int) -> list[str]:
        drawn = np.random.default_rng(run).integers(0, len(WORDS), (planted.states, 10))
        return [" ".join(row) for row in WORDS[drawn[np.arange(planted.states) // 3]]]

    labels = planted_labels(planted, np.zeros(planted.n_runs, bool))
    return TrajectorySet.of_array(vectors, labels, prompts=prompts[of_run], texts=texts)


@contextmanager
def watched() -> Iterator[list[int]]:
    """Yield a list that gets, in the end, the most bytes that were this process's own."""
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text()
            kilobytes = int(status.split("RssAnon:")[1].split()[0])
            most[0] = max(most[0], 1024 * kilobytes)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def measure(planted: Planted, directory: Path, name: str, every: int, part: float) -> None:
    """Run one analysis and print its seconds and bytes."""
    found = opened(planted, directory).select(np.arange(0, planted.n_runs, every))
    found.lengths[:] = np.maximum(1, (found.lengths * part).astype(np.int64))
    available()  # imports are not the analysis' own
    with watched() as most:
        began = time.process_time()
        result = analysis(name, found)
        seconds = time.process_time() - began
    print(json.dumps([seconds, most[0], len(result.statements), len(result.not_done)]))


def measured(arguments: Sequence[str], name: str, every: int, part: float) -> list[float]:
    """Return what `measure` prints, in a process of its own."""
    own = ["--only", name, "--every", str(every), "--part", str(part)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, __file__, *arguments, *own]
    told = subprocess.run(
        command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return list(json.loads(told.splitlines()[-1]))


def show(arguments: Sequence[str], names: Sequence[str], growth: bool) -> None:
    """Print a row an analysis, and their sum."""
    print(
        "| analysis | CPU s | MB | twice the runs | twice the states |\n|---|---:|---:|---:|---:|"
    )
    total, half = 0.0, 0.0
    for name in names:
        seconds, nbytes, *_ = measured(arguments, name, 1, 1.0)
        total += seconds
        ratios = ["", ""]
        if growth:
            parts = [measured(arguments, name, *part)[0] for part in ((2, 1.0), (1, 0.5))]
            ratios = [f"{seconds / part:.1f}" for part in parts]
            half += parts[0]
        print(
            f"| `{name}` | {seconds:.1f} | {nbytes / 1e6:,.0f} | {' | '.join(ratios)} |", flush=True
        )
    print(f"| all | {total:.0f} | | | |")
    if growth:
        record(f"{len(names)} analyses ÷ of half the runs, processor time", total / half)


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--directory", type=Path)
    for name, usual in (("networks", 4), ("prompts", 20), ("runs", 4), ("states", 300),
                        ("dimensions", 768)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--keep", action="store_true")
    # How it calls itself, for one analysis.
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--every", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--part", type=float, default=1.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = {name: getattr(given, name) for name in ("networks", "prompts", "runs", "states",
                                                     "dimensions")}  # fmt: skip
    planted = Planted(**sizes)
    if given.only:
        measure(planted, given.directory, given.only, given.every, given.part)
        return
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.directory) as temporary:
        directory = Path(given.directory if given.keep else temporary)
        write(planted, directory)
        size = (directory / STATES).stat().st_size / 1e9
        print(f"{planted.n_runs:,} runs of {planted.states:,} states in {planted.dimensions} "
              f"dimensions, {size:.1f} GB")  # fmt: skip
        arguments = ["--directory", str(directory)]
        arguments += [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
        show(arguments, given.names or list(available()), given.growth)


if __name__ == "__main__":
    main()
