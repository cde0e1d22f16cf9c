"""Every error that panic_hpc raises on purpose.

PanicError             one sentence that names the object and the next thing to type
├── ConfigError        an experiment or cluster file is wrong: carries all its problems
├── ManifestError      an experiment directory and what is asked of it do not fit
├── ModelError         a model cannot be loaded or refuses its settings
├── AbsentError        a file that was to be read is not there
├── RemoteError        the server of a model fails: nothing is wrong with what it was asked
├── DeviceError        this process has lost its GPU for good
├── ShardError         a published file is missing, foreign, newer, truncated or corrupt
│   └── AwayError      a file that a dataset refers to is away, or another one
├── DiskError          a file cannot be written: the disk is full, fails, or does not let us
├── ConflictError      two results with one key and different bits
├── NumericsError      a shard would be continued on another kind of machine
├── HomologyError      a point cloud cannot be worked on
├── LaunchError        a scheduler, container or MPI launch was refused
└── Interrupted        work stopped in a consistent state and can be continued
"""

import difflib
from collections.abc import Iterable, Sequence

ASK_ITS_OWNER = "Ask its owner to let you read it (chmod, and of the folders above)"


class PanicError(Exception):
    """An error whose message is for people; `hint` is the next thing to type."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        end = "\n" if "\n" in self.message else ". "
        return f"{self.message}{end}{self.hint}" if self.hint else self.message


class ConfigError(PanicError):
    """An experiment or cluster file is wrong; `problems` lists everything found, one line each."""

    def __init__(self, source: str, problems: Sequence[str], *, hint: str = "") -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__(f"{source} has {len(problems)} {noun}:\n{lines}", hint=hint)
        self.problems = tuple(problems)


class ManifestError(PanicError):
    """An experiment directory and what is asked of it do not fit."""


class ModelError(PanicError):
    """A model cannot be loaded or refuses its settings."""


class AbsentError(PanicError):
    """A file that was to be read is not there, or not there any more.

    What other processes may remove is read and not asked for before: it may go between the two.
    """


class RemoteError(PanicError):
    """The server of a model fails, or does not answer; another attempt may find it well.

    Never the fault of an item, so that no run ends by it.
    """


class DeviceError(PanicError):
    """This process has lost its GPU for good; another process may use it."""


class ShardError(PanicError):
    """A published file is missing, foreign, newer, truncated or corrupt."""


class AwayError(ShardError):
    """A file that a dataset refers to is away, damaged, or another one by now.

    Nothing is wrong with the dataset: whoever skips pictures that are none lets this error pass.
    """


class DiskError(PanicError):
    """A file cannot be written or read: the disk is full, fails, or does not let us; names it.

    Nothing is wrong with the work: once the disk is well, the same command goes on.
    """


class ConflictError(PanicError):
    """Two results carry one key and different bits."""


class NumericsError(PanicError):
    """A shard would be continued on another kind of machine than it was begun on."""


class HomologyError(PanicError):
    """A point cloud cannot be worked on."""


class AnalysisError(PanicError):
    """A question cannot be answered from these data; the message says why."""


class LaunchError(PanicError):
    """A scheduler, container or MPI launch was refused."""


class Interrupted(PanicError):  # noqa: N818 - a state, not a fault
    """Work stopped in a consistent state (deadline, halt file, signal) and can be continued."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return a sentence that offers the candidates closest to `name`, or lists them when few."""
    names = list(candidates)
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    if 0 < len(names) <= 12:
        return "Known: " + ", ".join(sorted(names))
    return ""
