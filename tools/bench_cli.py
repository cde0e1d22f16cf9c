"""How long the command line takes to say anything, beside an interpreter that does nothing.

python tools/bench_cli.py [--rounds 9]
"""

import argparse
import statistics
import subprocess
import sys
import time

from ratios import record

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import pydantic": ["-c", "import pydantic"],
    "panic-hpc --help": ["-m", "panic_hpc", "--help"],
    "panic-hpc plan --help": ["-m", "panic_hpc", "plan", "--help"],
}


def seconds(arguments: list[str]) -> float:
    """Return the wall time of one start of the interpreter with `arguments`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Take the commands in turn, so that the machine's moods fall on all of them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    bare = statistics.median(times["python -c pass"])
    print(f"{'command':28} {'median s':>9} {'÷ bare':>7}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:28} {median:9.3f} {median / bare:7.1f}")
        record(f"{name} ÷ python -c pass", median / bare)


if __name__ == "__main__":
    main()
