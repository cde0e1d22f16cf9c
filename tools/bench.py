"""All benchmarks one after the other, each with a time limit of its own: what `make bench` runs.

    python tools/bench.py                     within half an hour
    python tools/bench.py --only homology     some parts
    python tools/bench.py --limit 60          at most so many seconds a part, to try it

A part that runs out of time or fails says so, and the others go on. At the end stands a table of
the ratios that the parts recorded (tools/ratios.py), those of a part that was cut off included.
Ratios are of one run of one part; a machine with other work disturbs those of wall time, and the
load is printed before and after. tools/bench_gpu.py needs a GPU and has a machine of its own to
describe.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ratios import FILE, Ratio, read

TOOLS = Path(__file__).parent


@dataclass(frozen=True)
class Part:
    """A program beside this one, and how many seconds it may take."""

    arguments: Sequence[str]
    limit_s: int


SOME_ANALYSES = [
    "networks",
    "prediction",
    "jumps",
    "clusters",
    "--prompts=8",
    "--runs=2",
]
MERGE = ["--large-gb", "1", "--small", "300", "--repeats", "3", "--opening", "1000000"]
PARTS = {
    "homology": Part(["bench_homology.py"], 780),
    "merge": Part(["bench_merge.py", *MERGE], 270),
    "stages": Part(["bench_stages.py", "--steps", "40"], 180),
    "evaluate": Part(["bench_evaluate.py", "--rounds", "1", "--steps", "80"], 165),
    "analyses": Part(["bench_analyses.py", "--growth", *SOME_ANALYSES], 100),
    "codecs": Part(["bench_codecs.py"], 110),
    "execution": Part(["bench_execution.py"], 60),
    "plan": Part(["bench_plan.py"], 100),
    "cli": Part(["bench_cli.py"], 30),
}
"""The limits together are less than half an hour."""


def run(part: Part, limit_s: int, file: Path) -> str:
    """Run a part, its words to the terminal and its ratios to `file`; return how it ended."""
    # A part that is cut off leaves what it made: in our folder, which goes.
    ours = {FILE: str(file), "TMPDIR": str(file.parent), "PYTHONUNBUFFERED": "1"}
    environ = {**os.environ, **ours}
    command = [sys.executable, str(TOOLS / part.arguments[0]), *part.arguments[1:]]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environ, start_new_session=True)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return f"CUT OFF after {limit_s} s"
    finally:
        # The part, or what a part that is gone has left running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    seconds = f"{time.monotonic() - began:.0f} s"
    return f"done in {seconds}" if code == 0 else f"FAILED (exit {code}) after {seconds}"


def table(ratios: dict[str, list[Ratio]]) -> list[str]:
    """Rows of Markdown: what was compared, the ratio, what it is aimed at, and of which part."""
    rows = ["| part | ratio | is | aim |", "|---|---|---:|---:|"]
    for name, recorded in ratios.items():
        rows += [f"| {name} | {what} | {value:.2f} | {aim} |" for what, value, aim in recorded]
    return rows


def main() -> None:
    """Run the parts, then print the table; an error if one of them failed or was cut off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--limit", type=int, default=30 * 60, help="most seconds a part")
    asked = parser.parse_args()
    ends: dict[str, str] = {}
    ratios: dict[str, list[Ratio]] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only:
            print(f"\n== {name}", flush=True)
            file = Path(folder) / name
            ends[name] = run(PARTS[name], min(PARTS[name].limit_s, asked.limit), file)
            ratios[name] = read(file)
            print(f"== {name} {ends[name]}", flush=True)
    print(f"\n{date.today()}, load {load:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    print("\n".join(table(ratios)))
    print("\n" + "\n".join(f"{name}: {end}" for name, end in ends.items()))
    if not all(end.startswith("done") for end in ends.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
