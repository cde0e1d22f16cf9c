"""The ratios that a benchmark found, in a file for the table of tools/bench.py."""

import json
import os
from pathlib import Path
from typing import NamedTuple

FILE = "PANIC_HPC_BENCH_RATIOS"
"""The environment variable with the file's name; without it nothing is written."""


class Ratio(NamedTuple):
    """What was divided by what, the quotient, and what it is aimed at ("≥ 3"; "" if nothing is)."""

    what: str
    value: float
    aim: str


def record(what: str, value: float, aim: str = "") -> None:
    """Add a ratio to the file, if there is to be one."""
    file = os.environ.get(FILE)
    if file:
        with Path(file).open("a") as out:
            out.write(json.dumps(Ratio(what, value, aim)) + "\n")


def read(file: Path) -> list[Ratio]:
    """Return the ratios of a file, none if it is not there; a line half written is left out."""
    if not file.exists():
        return []
    whole = file.read_text().split("\n")[:-1]
    return [Ratio(*json.loads(line)) for line in whole]
