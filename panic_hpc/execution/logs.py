"""The logs of workers: which file is a shard's, and what its events add up to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from panic_hpc.execution.diagnosis import latest_elements, log_paths, log_tail
from panic_hpc.execution.events import read_events, shard_name
from panic_hpc.execution.experiment import Experiment
from panic_hpc.execution.ledger import Chunk, read_ledger
from panic_hpc.types import ShardId


def logs_of(experiment: Experiment, shard: ShardId) -> list[Path]:
    """Return the logs of the last submission of `shard`, in which it is mentioned where it can be.

    A local worker's log tells of many shards; an array task's of its own, requeues included.
    """
    found = latest_elements(read_ledger(experiment.paths.ledger)).get(shard)
    if found is None:
        return []
    paths = log_paths(*found)
    name = shard_name(shard.stage, shard.index)
    return [path for path in paths if _mentions(path, name)] or paths


def _mentions(path: Path, name: str) -> bool:
    try:
        # The whole log, but of one shard: its only mention may be far from the end.
        return name in path.read_text(errors="replace")
    except OSError:
        return False


def elements(experiment: Experiment) -> Iterator[tuple[Chunk, list[dict[str, Any]]]]:
    """Yield every array element that was ever submitted, with the events of its logs."""
    for submission in read_ledger(experiment.paths.ledger):
        for chunk in submission.chunks:
            for position in range(len(chunk.elements)):
                # Tails only, for thousands of logs are read: what a long log said earlier is not
                # counted.
                texts = (log_tail(path) for path in log_paths(chunk, position))
                yield chunk, [event for text in texts for event in read_events(text)]
