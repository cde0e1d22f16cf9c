"""What workers write to their logs: one JSON line an event, found again by `logs` and `status`."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from panic_hpc import clock
from panic_hpc.types import Shard

# Slurm, Apptainer and libraries write into the same log.
MARK = "panic-hpc-event "


def shard_name(stage: str, index: int) -> str:
    """Return how a shard is called in logs, records and on the command line."""
    return f"{stage}_{index:05d}"


def say_event(event: str, shard: Shard | None = None, **facts: Any) -> None:
    """Write one event to standard output, where the log is."""
    value: dict[str, Any] = {"event": event, "time": round(clock.now(), 3)}
    if shard:
        value["shard"] = shard_name(shard.stage, shard.index)
    sys.stdout.write(MARK + json.dumps(value | facts, default=str) + "\n")
    # A job that is killed cannot flush, and its last event is what `retry` and `logs` go by.
    sys.stdout.flush()


def read_events(log: str) -> Iterator[dict[str, Any]]:
    """Yield the events in the text of a log, torn lines left out."""
    for line in log.splitlines():
        if line.startswith(MARK):
            try:
                yield json.loads(line[len(MARK) :])
            except ValueError:
                continue
