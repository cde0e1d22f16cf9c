"""Faults of file systems as data, and a piece of work done in a child process while one happens.

Needs the library of failing_calls.cpp preloaded (`preloaded_environment`).
"""

import ctypes
import errno
import os
import select
import signal
import subprocess
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("failing_calls.cpp")

WRITE, SYNC, RENAME, LINK, CREATE, ROOM, UNLINK, MKDIR, CHMOD, CLOSE, READ = (
    1 << place for place in range(11)
)
ALL_KINDS = 2**11 - 1
CHANGES = WRITE | RENAME | LINK | CREATE | ROOM | UNLINK | MKDIR | CHMOD
GROWS = WRITE | RENAME | LINK | CREATE | ROOM | MKDIR
FAIL, SHORT, KILL, TEAR = range(4)
NEVER = 2**40
"""A call that no work comes to."""
LONGEST_S = 300.0
"""Work that is not over then hangs: undisturbed it takes a second."""


@dataclass(frozen=True)
class Fault:
    """What happens to the n-th of some kinds of calls, and to all after it where `for_ever`."""

    name: str
    kinds: int
    error: int = errno.EIO
    for_ever: bool = False
    mode: int = FAIL


def _failing(noun: str, kinds: int, *errors: int) -> list[Fault]:
    return [Fault(f"{noun} {errno.errorcode[error]}", kinds, error) for error in errors]


FAULTS = (
    *_failing("write", WRITE, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    Fault("short write", WRITE, mode=SHORT),
    Fault("torn write, killed", WRITE, mode=TEAR),
    *_failing("fsync", SYNC, errno.EIO, errno.ENOSPC),
    *_failing("rename", RENAME, errno.EIO, errno.EDQUOT),
    *_failing("link", LINK, errno.EIO, errno.ENOSPC),
    *_failing("create", CREATE, errno.ENOSPC, errno.EACCES, errno.EROFS),
    *_failing("truncate", ROOM, errno.ENOSPC),
    *_failing("mkdir", MKDIR, errno.ENOSPC, errno.EACCES),
    *_failing("unlink", UNLINK, errno.EIO, errno.EROFS),
    *_failing("chmod", CHMOD, errno.EIO, errno.EROFS),
    *_failing("close", CLOSE, errno.EIO, errno.EDQUOT),
    *_failing("read", READ, errno.EIO),
    Fault("fsync EIO for ever", SYNC, for_ever=True),
    Fault("disk full for ever", GROWS, errno.ENOSPC, for_ever=True),
    Fault("quota used up for ever", GROWS, errno.EDQUOT, for_ever=True),
    Fault("read-only for ever", CHANGES, errno.EROFS, for_ever=True),
    Fault("disk dead for ever", CHANGES | SYNC | CLOSE | READ, errno.EIO, for_ever=True),
    Fault("killed", CHANGES | SYNC, mode=KILL),
)


def twins(faults: Sequence[Fault]) -> list[list[Fault]]:
    """Return the faults in groups that differ in the number of the error alone."""
    groups: dict[tuple[int, bool, int], list[Fault]] = {}
    for fault in faults:
        groups.setdefault((fault.kinds, fault.for_ever, fault.mode), []).append(fault)
    return list(groups.values())


@dataclass(frozen=True)
class Ended:
    """How a piece of work ended: done, refused, raised or killed.

    `calls` has how many calls there were of each kind that was asked for, by the kind's bit.
    """

    how: str
    words: str
    calls: tuple[int, ...]
    injected: bool

    def calls_of(self, kinds: int) -> int:
        """Return how many calls there were of some kinds."""
        return sum(number for bit, number in enumerate(self.calls) if kinds >> bit & 1)


def preloaded_environment(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build the library in `folder`; return the environment of a process that has it preloaded."""
    library = folder / "failing_calls.so"
    command = ["g++", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    # One thread: this process is forked for every injection.
    return {**environ, "LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1"}


def disturbed(work: Callable[[], object], root: Path, fault: Fault, number: int) -> Ended:
    """Do `work` in a child; in it the `number`-th call below `root` meets `fault`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _do_and_tell(work, root, fault, number, writing)
    os.close(writing)
    with open(reading, "rb") as stream:
        hangs = not select.select([stream], [], [], LONGEST_S)[0]
        if hangs:
            os.kill(child, signal.SIGKILL)
        told = stream.read().decode()
    _, status = os.waitpid(child, 0)
    if hangs:
        return Ended("raised", f"not over after {LONGEST_S:g} s", (), True)
    if os.WIFSIGNALED(status):
        # The library counts in the child, which is gone; only a fault that kills ends like that.
        by_fault = fault.mode in (KILL, TEAR) and os.WTERMSIG(status) == 9
        return Ended("killed" if by_fault else "raised", f"signal {status & 127}", (), by_fault)
    how, calls, injected, words = told.split("\n", 3)
    return Ended(how, words, tuple(map(int, calls.split())), int(injected) > 0)


def _do_and_tell(
    work: Callable[[], object], root: Path, fault: Fault, number: int, writing: int
) -> None:
    from panic_hpc.errors import PanicError

    library = ctypes.CDLL(None)
    how, words = "done", ""
    try:
        library.fault_arm(
            os.fsencode(f"{root}/"), fault.kinds, ctypes.c_long(number), fault.error,
            int(fault.for_ever), fault.mode,
        )  # fmt: skip
        work()
    # An OSError that names its file is what the command line makes a sentence of.
    except (PanicError, OSError, SystemExit) as error:
        how, words = "refused", str(error)
    except BaseException:
        how, words = "raised", traceback.format_exc()
    finally:
        library.fault_disarm()
    calls = " ".join(str(library.fault_calls_of(bit)) for bit in range(ALL_KINDS.bit_length()))
    told = f"{how}\n{calls}\n{library.fault_injected()}\n{words}"
    os.write(writing, told.encode("utf-8", "backslashreplace")[:60_000])
    os._exit(0)
