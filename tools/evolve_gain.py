"""What breeding gains over chance: a series repeated under several seeds, beside its control.

python tools/evolve_gain.py configs/series/red.toml FOLDER [--repeats 4]

Prints each repeat's last round: mean of the bred population, of the control, and the gain; then the
mean gain with Student's interval over repeats, and the share of a round's time that is neither
plan, submission nor merge. Typed again it goes on where it was.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from panic_hpc.backends.base import request_for
from panic_hpc.evolution import driving
from panic_hpc.evolution.progress import RoundSummary, summaries
from panic_hpc.evolution.series_file import read_series
from panic_hpc.search.driving import completed
from panic_hpc.workspace.workspace import Workspace

LEVEL = 0.95


class TimedRounds:
    """Seconds of rounds as a whole, and of their experiments alone."""

    def __init__(self) -> None:
        self.whole = self.experiments = 0.0

    def completed(self, *arguments: Any) -> Workspace:
        """Complete a round's experiment, and count its seconds."""
        began = time.monotonic()
        workspace = completed(*arguments)
        self.experiments += time.monotonic() - began
        return workspace


def repeat(file: Path, folder: Path, seed: int, timed: TimedRounds) -> list[RoundSummary]:
    """Run a series under another seed, in this process; return its rounds."""
    plan = read_series(file, seed=seed)
    driving.start(folder, plan)
    began = time.monotonic()
    inline = request_for("local", executor="inline")
    rounds = driving.advance(folder, plan, inline, complete=timed.completed)
    timed.whole += time.monotonic() - began
    return summaries(rounds, plan.population.chromosomes)


def main() -> None:
    """Repeat, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    timed = TimedRounds()
    gains = []
    for seed in range(1, options.repeats + 1):
        rounds = repeat(options.series, options.folder / str(seed), seed, timed)
        first, last = rounds[0], rounds[-1]
        assert last.mean is not None
        assert last.control is not None
        gains.append(last.mean - last.control)
        told = f"founders {first.mean:.3f}, bred {last.mean:.3f}, control {last.control:.3f}"
        print(f"seed {seed}: {told}, gain {gains[-1]:+.3f}", flush=True)
    half = stats.sem(gains) * stats.t.ppf((1 + LEVEL) / 2, len(gains) - 1)
    mean = np.mean(gains)
    print(f"gain {mean:.3f}, {LEVEL:.0%} interval {mean - half:.3f} to {mean + half:.3f}")
    if timed.experiments:
        print(f"beside its experiments: {1 - timed.experiments / timed.whole:.1%} of the time")


if __name__ == "__main__":
    main()
