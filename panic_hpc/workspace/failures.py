"""Failure as a value: the record of why a shard failed, removed by a good retry."""

import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.errors import PanicError
from panic_hpc.extras import missing_library
from panic_hpc.validation.record import Moment, read_record
from panic_hpc.workspace.process import Process

# By words, since torch's error on a GPU, C++'s bad_alloc and the kernel's are no MemoryError.
MEMORY_WORDS = ("out of memory", "cannot allocate memory", "bad_alloc", "memory limit", "oom-kill")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a shard failed, where, and in which submission; `kind` is the type of the error."""

    kind: str
    reason: str
    trace: str
    host: str
    job: str
    submission: str
    time: Moment
    memory: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JSON value of EXP/failed/*.json."""
        return asdict(self)


def failure_of(error: BaseException, process: Process, submission: str) -> Failure:
    """Return the record of `error` as it ended the work of `process`."""
    missing = missing_library(error) if isinstance(error, ModuleNotFoundError) else None
    # A path that is no UTF-8 has halves of surrogate pairs, which JSON cannot hold.
    reason = _writable(str(missing or error) or type(error).__name__)
    text = f"{type(error).__name__} {reason}".lower()
    return Failure(
        kind=type(error).__name__,
        reason=reason,
        trace=_writable("".join(traceback.format_exception(error))),
        # Slurm's own name of the node first: --exclude takes no other.
        host=process.slurm.node or process.host,
        job=process.slurm.label,
        submission=submission,
        time=clock.now(),
        memory=isinstance(error, MemoryError) or any(word in text for word in MEMORY_WORDS),
    )


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def write_failure(path: Path, failure: Failure) -> None:
    """Make `failure` the record in `path`, replacing an earlier one."""
    replace_file(path, to_json(failure.to_json()))


def read_failure(path: Path) -> Failure | None:
    """Return the record in `path`, None where there is none; a damaged one says that it is."""
    if not path.exists():
        return None
    try:
        return read_record(Failure, path)
    except PanicError as error:
        return Failure("damaged record", str(error), "", "", "", "", 0.0)
