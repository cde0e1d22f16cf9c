"""Failure as a value: the record of why a shard failed, removed by a good retry."""

import errno
import re
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.errors import AbsentError, DiskError, PanicError
from panic_hpc.extras import missing_library
from panic_hpc.validation.record import Moment, read_record
from panic_hpc.workspace.process import Process

# By words, since torch's error on a GPU, C++'s bad_alloc and the kernel's are no MemoryError.
MEMORY_WORDS = ("out of memory", "cannot allocate memory", "bad_alloc", "memory limit", "oom-kill")
# What a file system answers that is full, over quota, away, read-only or failing.
_OF_DISKS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.ENOTCONN,
     errno.ESHUTDOWN, errno.ETIMEDOUT, errno.EACCES, errno.EPERM}
)  # fmt: skip
# HDF5 names the number in its message only, and an error that was told in words has no other.
_NUMBER = re.compile(r"\berrno = (\d+)|\[Errno (\d+)\]")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a shard failed, where, and in which submission.

    kind, reason, trace: the type of the error, what it says, and where it was raised.
    host, job, submission, time: where and when.
    memory: whether memory ran out.
    disk: whether a file system was full or failed: nothing is wrong with the shard.
    """

    kind: str
    reason: str
    trace: str
    host: str
    job: str
    submission: str
    time: Moment
    memory: bool = False
    disk: bool = False

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
        disk=any(map(_is_of_disk, _causes(error))),
    )


def _is_of_disk(error: BaseException) -> bool:
    numbers = {int(found[1] or found[2]) for found in _NUMBER.finditer(str(error))}
    if isinstance(error, OSError) and error.errno:
        numbers.add(error.errno)
    return isinstance(error, DiskError) or bool(numbers & _OF_DISKS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def write_failure(path: Path, failure: Failure) -> None:
    """Make `failure` the record in `path`, replacing an earlier one."""
    replace_file(path, to_json(failure.to_json()))


def read_failure(path: Path) -> Failure | None:
    """Return the record in `path`, None where there is none; a damaged one says that it is."""
    try:
        return read_record(Failure, path)
    except AbsentError:
        return None
    except PanicError as error:
        return Failure("damaged record", str(error), "", "", "", "", 0.0)
