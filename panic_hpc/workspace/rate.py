"""How fast a stage advances, by when its files appeared. For people, not for decisions."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.workspace.status import Status
from panic_hpc.workspace.workspace import Workspace

MIN_MEASURED = 2
# Each one measured is a stat, and a question to the metadata server.
MAX_MEASURED = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """Shards an hour of one stage lately, and the hours that what is left takes at that rate."""

    per_hour: float
    hours_left: float


def rates(workspace: Workspace, status: Status) -> dict[str, Rate]:
    """Return the rate of every stage that is under way and has a few shards to measure."""
    measured = {}
    for stage, shards in status.stages.items():
        done = [one.shard for one in shards if one.state == "completed"]
        left = len(shards) - sum(one.fraction for one in shards)
        if left and len(done) >= MIN_MEASURED:
            times = list(_published(workspace.paths.shard(one) for one in done[-MAX_MEASURED:]))
            if len(times) >= MIN_MEASURED and (one := rate(times, left)):
                measured[stage] = one
    return measured


def _published(files: Iterable[Path]) -> Iterator[float]:
    """Yield when files appeared; those that were moved away since are left out."""
    for path in files:
        with suppress(FileNotFoundError):
            yield path.stat().st_mtime


def rate(times: list[float], left: float) -> Rate | None:
    """Return the rate of shards that were published at `times` (seconds); pure."""
    # Pauses between submissions are in it: the hours left are rather too many.
    span = max(times) - min(times)
    if span <= 0:
        return None
    per_hour = (len(times) - 1) / span * 3600
    return Rate(per_hour, left / per_hour)
