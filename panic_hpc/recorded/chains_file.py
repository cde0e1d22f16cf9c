r"""Files of chains: a JSON object a line, untrusted, each line that is wrong named by its number.

    {"run": "a1", "step": 0, "text": "A fox crossed the river.", "labels": {"language": "en"}}
    {"run": "a1", "step": 1, "text": "A fox swam over a river."}

The first text of a run is what its first teller heard: the prompt. Those after it, whose steps
count up by one, are what tellers said. Lines may come in any order; labels are a run's, and need
stand in one of its lines only.
"""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ConfigError
from panic_hpc.experiment.entries import MAX_PROMPT_CHARACTERS
from panic_hpc.validation.problems import at_most, explained

# All texts are in memory at the same time.
MAX_BYTES = 2**30
MAX_LINE_BYTES = 8 * 2**20
MAX_LINES = 10**7
MAX_STEP = 10**6
MAX_LABELS = 32
# As what models put out: longer texts are none.
MAX_CHARACTERS = 10**6

MAX_PROBLEMS_READ = 1000


def _as_word(value: object) -> object:
    """Return a number or a truth as it stands in the file: labels are words."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


_Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Id = Annotated[_Key, BeforeValidator(_as_word)]
_Word = Annotated[str, StringConstraints(max_length=200), BeforeValidator(_as_word)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run: _Id
    step: Annotated[int, Field(ge=-1, le=MAX_STEP)]
    text: Annotated[str, StringConstraints(max_length=MAX_CHARACTERS)]
    labels: Annotated[dict[_Key, _Word], Field(max_length=MAX_LABELS)] = {}


_LINE = TypeAdapter(_Line)


@dataclass(frozen=True, slots=True)
class Chain:
    """A run of texts: what it was called, what it began with, what was told, and its labels."""

    name: str
    start: str
    told: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChainsFile:
    """All chains of a file, in order of their first lines, and the SHA-256 of the file."""

    path: Path
    sha256: str
    chains: tuple[Chain, ...]


@dataclass(slots=True)
class _Draft:
    texts: dict[int, tuple[int, str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def read_chains(path: Path) -> ChainsFile:
    """Return the chains in a file of JSON lines; blank lines count for nothing.

    Raises ConfigError that names each bad line by its number: not JSON, other members, a step twice
    or missing, labels that contradict an earlier line, a chain of one text.
    """
    drafts: dict[str, _Draft] = {}
    problems: list[str] = []
    digest = hashlib.sha256()
    for number, content in _lines(path):
        digest.update(content)
        if content.strip():
            problems += _take(drafts, number, content)
        if len(problems) >= MAX_PROBLEMS_READ:
            raise ConfigError(str(path), at_most(problems))
    problems += [text for name, draft in drafts.items() for text in _draft_problems(name, draft)]
    if not drafts and not problems:
        problems = ["no line in it"]
    if problems:
        raise ConfigError(str(path), at_most(problems))
    chains = tuple(_chain(name, draft) for name, draft in drafts.items())
    return ChainsFile(path, digest.hexdigest(), chains)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line); ConfigError for what is no file, or more than memory should hold."""
    try:
        status = path.stat()
        # Opening a FIFO or a terminal would wait for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(str(path), ["not a file"])
        if status.st_size > MAX_BYTES:
            raise ConfigError(str(path), [f"larger than {MAX_BYTES // 2**20} MiB; import parts"])
        with path.open("rb") as stream:
            # A file without line ends must not be read whole before it is refused.
            lines = iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b"")
            for number, content in enumerate(lines, start=1):
                if len(content) > MAX_LINE_BYTES or number > MAX_LINES:
                    limit = f"{MAX_LINE_BYTES // 2**20} MiB a line, {MAX_LINES:,} lines"
                    raise ConfigError(str(path), [f"line {number}: beyond {limit}"])
                yield number, content
    except FileNotFoundError:
        raise ConfigError(str(path), ["does not exist"]) from None
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read ({error})"]) from error


def _take(drafts: dict[str, _Draft], number: int, content: bytes) -> list[str]:
    """Add a line to the run that it is of; return what is wrong with it."""
    try:
        # Windows editors put a byte order mark first.
        value = parse_json(content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content)
        line = _LINE.validate_python(value)
    except ValidationError as error:
        return explained(error, (f"line {number}",), tuple(_Line.model_fields))
    except ValueError as error:
        return [f"line {number} is not JSON ({error})"]
    name = line.run
    draft = drafts.setdefault(name, _Draft())
    if line.step in draft.texts:
        first = draft.texts[line.step][0]
        return [f"line {number}: run {name!r} has a step {line.step} already, in line {first}"]
    draft.texts[line.step] = number, line.text
    return _take_labels(draft, number, name, line.labels)


def _take_labels(draft: _Draft, number: int, name: str, labels: Mapping[str, str]) -> list[str]:
    other = [key for key, value in labels.items() if draft.labels.setdefault(key, value) != value]
    return [
        f"line {number}: run {name!r} has {key} = {draft.labels[key]!r} in a line before, "
        f"and {labels[key]!r} here"
        for key in other
    ]


def _draft_problems(name: str, draft: _Draft) -> Iterator[str]:
    steps = sorted(draft.texts)
    number, start = draft.texts[steps[0]]
    if len(steps) == 1:
        yield f"line {number}: run {name!r} has no other text; a chain has two at least"
    if not start.strip() or len(start) > MAX_PROMPT_CHARACTERS or "\0" in start:
        limit = f"1 to {MAX_PROMPT_CHARACTERS:,} characters"
        yield f"line {number}: the text that run {name!r} begins with must have {limit}, none NUL"
    for before, step in pairwise(steps):
        if step != before + 1:
            number, _ = draft.texts[step]
            yield f"line {number}: run {name!r} has no step {before + 1} before its step {step}"
            return


def _chain(name: str, draft: _Draft) -> Chain:
    start, *told = (draft.texts[step][1] for step in sorted(draft.texts))
    return Chain(name, start, tuple(told), draft.labels)
