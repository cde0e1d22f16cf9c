"""What planning a million runs takes, for three ways of having so many.

python tools/bench_plan.py [--runs 1000000]

Wall and processor seconds of the whole command in a process of its own, and its peak memory. On a
busy machine the processor seconds are the ones to trust.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BASE = """
networks = [["DummyT2I", "DummyI2T"]]
embedding_models = ["DummyText"]
max_length = 100
"""


def write_experiments(folder: Path, runs: int) -> list[Path]:
    """Write experiments of about `runs` runs: prompts by seeds, prompts alone, seeds alone."""
    side = round(runs**0.5)
    for name, count in (("some.txt", side), ("many.txt", runs)):
        lines = (
            f"a picture number {i} of a red circle on a blue background\n" for i in range(count)
        )
        (folder / name).write_text("".join(lines))
    tables = {
        "prompts by seeds": f'prompts_file = "some.txt"\nseeds = {list(range(side))}\n',
        "prompts alone": 'prompts_file = "many.txt"\nseeds = [1]\n',
        "unseeded runs": f'prompts = ["a red circle"]\nseed_count = {min(runs, 10**6)}\n',
    }
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.toml")
        paths[-1].write_text(table + BASE)
    return paths


def measure(path: Path) -> tuple[float, float, float]:
    """Return wall seconds, processor seconds and peak megabytes of planning `path`."""
    command = [sys.executable, "-m", "panic_hpc", "plan", str(path), str(path.with_suffix(""))]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"planning {path.stem} failed")
    wall = time.perf_counter() - began
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    """Print a line for each experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    runs = parser.parse_args().runs
    print(f"{runs} runs {'':12} {'wall s':>8} {'cpu s':>8} {'MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for path in write_experiments(Path(folder), runs):
            wall, cpu, megabytes = measure(path)
            print(f"{path.stem:24} {wall:8.1f} {cpu:8.1f} {megabytes:8.0f}")


if __name__ == "__main__":
    main()
