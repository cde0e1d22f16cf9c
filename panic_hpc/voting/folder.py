"""Where votes lie: files of lines, a vote a line, beside the dataset that they are on.

A file is one import, or what one server was told; none is ever written to by two. Reading takes all
of them, and which came first does not matter (`votes.latest`).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from panic_hpc import clock
from panic_hpc.closing import Closing
from panic_hpc.disk import system
from panic_hpc.disk.directories import make_directory
from panic_hpc.disk.files import append_to, create_file, read_regular
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import PanicError
from panic_hpc.keys import content_key
from panic_hpc.paths import ExperimentPaths
from panic_hpc.voting.votes import MOST_BYTES, Vote, VotesFile, vote_of


class StoredVotes(NamedTuple):
    """Votes as they were stored, and files whose last line a lost machine cut short."""

    votes: list[Vote]
    cut_files: list[Path]


def votes_folder(dataset: Path) -> Path:
    """Return where votes on a dataset lie: in its experiment's folder, else beside it."""
    paths = ExperimentPaths(dataset.parent)
    is_experiments = paths.manifest.exists() and dataset.name == paths.dataset.name
    return paths.votes if is_experiments else dataset.with_name(f"{dataset.stem}.votes")


def import_votes(folder: Path, sent: VotesFile) -> bool:
    """Store the votes that somebody sent; False where this very file was imported before."""
    values = [vote.model_dump(mode="json") for vote in sent.votes]
    path = folder / f"imported-{content_key([sent.content_key, values])}.jsonl"
    make_directory(folder)
    return create_file(path, b"".join(map(_line, sent.votes)))


class VoteLog(Closing):
    """A new file to which votes are added as they come; each is on the disk before `add` ends."""

    def __init__(self, folder: Path) -> None:
        """Make the file, under a name that no other has."""
        make_directory(folder)
        name = f"served-{clock.stamp()}.jsonl"
        tried = [folder / name, *(folder / f"{n}-{name}" for n in range(1, 1000))]
        self.path = next(path for path in tried if create_file(path, b""))
        self._stream: TextIO = append_to(self.path)

    def add(self, vote: Vote) -> None:
        """Write a vote down, durably; DiskError where that fails."""
        with system.named(self.path):
            self._stream.write(_line(vote).decode())
            self._stream.flush()
            system.sync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def read_votes(folder: Path) -> StoredVotes:
    """Return all votes in a folder; PanicError, with file and line, where one is none."""
    votes: list[Vote] = []
    cut_files = []
    for path in sorted(folder.glob("*.jsonl")):
        lines, is_cut = _lines(path)
        votes += _votes_on(path, lines)
        cut_files += [path] if is_cut else []
    return StoredVotes(votes, cut_files)


def _lines(path: Path) -> tuple[Sequence[bytes], bool]:
    """Return the whole lines of a file, and whether a torn one follows them."""
    try:
        *lines, rest = read_regular(path, MOST_BYTES).split(b"\n")
    except (OSError, ValueError) as error:
        raise PanicError(f"{path} cannot be read ({error})") from error
    return lines, bool(rest)


def _votes_on(path: Path, lines: Sequence[bytes]) -> Iterator[Vote]:
    for number, line in enumerate(lines, start=1):
        try:
            yield vote_of(parse_json(line))
        except ValueError as error:
            raise PanicError(
                f"{path}, line {number}, is no vote: {error}", hint="Move that file elsewhere"
            ) from None


def _line(vote: Vote) -> bytes:
    # In ASCII: U+2028 and its like are line ends to some readers.
    return json.dumps(vote.model_dump(mode="json"), ensure_ascii=True).encode() + b"\n"
