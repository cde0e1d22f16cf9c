"""`inputs = "DIR"`: prompts that are pictures, or have some, from a folder that people fill.

DIR/shoe.png                     a picture a prompt, in the role "image"
DIR/Object/shoe.png              or a folder a role: the same names in each,
DIR/Mask/shoe.png                whatever their endings
DIR/prompts.csv                  perhaps their texts: name, text, and perhaps group
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.experiment.prompts_file import read_rows
from panic_hpc.experiment.starting import TEXTS
from panic_hpc.models.prompt_pictures import SOLE_ROLE
from panic_hpc.pictures.given import SUFFIXES, GivenPicture, read_given
from panic_hpc.types import Prompt
from panic_hpc.validation.problems import shown

MAX_FILES = 100_000
MAX_BYTES = 2 * 2**30
"""All pictures together, encoded: a merge has them in memory."""

_MOST_TOLD = 8

Files = Mapping[str, Mapping[str, Path]]
"""{role: {name: file}}."""


class PictureFile(NamedTuple):
    """A picture of a person's folder, and the file that it was read from."""

    path: Path
    picture: GivenPicture


def with_inputs(table: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the table with the prompts that its `inputs` folder has, and what is wrong there."""
    if "inputs" not in table:
        return table, []
    name = table["inputs"]
    rest = {key: value for key, value in table.items() if key != "inputs"}
    if given := [key for key in ("prompts", "prompts_file") if key in rest]:
        return rest, [
            f"inputs and {given[0]}: only one of them can be given; texts of pictures are in "
            f"{TEXTS} beside these"
        ]
    if not isinstance(name, str) or not name:
        return {**rest, "inputs": "?"}, [
            f"inputs = {shown(name)}: the name of a folder was expected"
        ]
    place = folder.absolute() / os.path.expanduser(name)
    try:
        prompts = list(read_inputs(place))
    except ConfigError as error:
        problems = [f"inputs = {shown(name)}: {problem}" for problem in error.problems]
        return {**rest, "inputs": str(place)}, problems
    return {**rest, "inputs": str(place), "prompts": prompts}, []


def read_inputs(folder: Path) -> Sequence[Prompt]:
    """Return the prompts of a folder in order of names; ConfigError with all that is wrong."""
    files = _files(folder)
    problems = _disagreements(files)
    digests: dict[str, dict[str, str]] = {}
    nbytes = 0
    for role, name, path in _each(files):
        try:
            picture = read_given(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path.relative_to(folder)}: {_reason(error)}")
        else:
            digests.setdefault(name, {})[role] = picture.digest
            nbytes += len(picture.content)
    if nbytes > MAX_BYTES:
        problems.append(f"{nbytes / 2**30:.1f} GiB of pictures; at most {MAX_BYTES // 2**30} GiB")
    texts, found = _texts(folder, digests)
    if problems := [*problems, *found]:
        raise ConfigError(str(folder), problems)
    return [
        Prompt(*texts.get(name, ("", "")), tuple(sorted(own.items())), name)
        for name, own in sorted(digests.items())
    ]


def picture_files(folder: Path) -> Iterator[PictureFile]:
    """Yield every picture of a folder, read anew; raises as `read_inputs` does."""
    for _, _, path in _each(_files(folder)):
        try:
            yield PictureFile(path, read_given(path))
        except (OSError, ValueError) as error:
            raise ConfigError(str(folder), [f"{path.name}: {_reason(error)}"]) from error


def _reason(error: Exception) -> str:
    return f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)


def _each(files: Files) -> Iterator[tuple[str, str, Path]]:
    for role, named in files.items():
        for name, path in sorted(named.items()):
            yield role, name, path


def _files(folder: Path) -> Files:
    """Return the pictures of a folder by role and name; what is hidden does not count."""
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    except FileNotFoundError:
        raise ConfigError(str(folder), ["does not exist"]) from None
    except OSError as error:
        raise ConfigError(str(folder), [_reason(error)]) from error
    roles = [entry for entry in entries if entry.is_dir()]
    own = [entry for entry in entries if not entry.is_dir() and entry.name != TEXTS]
    if roles and own:
        text = f"{own[0].name} lies beside folders of roles ({roles[0].name}): one or the other"
        raise ConfigError(str(folder), [text])
    found = {role.name: _named(role, sorted(role.iterdir())) for role in roles}
    found = found or {SOLE_ROLE: _named(folder, own)}
    if not any(found.values()):
        raise ConfigError(str(folder), [f"no picture in it ({', '.join(SUFFIXES)})"])
    if sum(map(len, found.values())) > MAX_FILES:
        raise ConfigError(str(folder), [f"more than {MAX_FILES} pictures"])
    return found


def _named(folder: Path, entries: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    problems = []
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in SUFFIXES:
            problems.append(f"{path.name}: no picture ({', '.join(SUFFIXES)})")
        elif path.stem in named:
            problems.append(f"{named[path.stem].name} and {path.name}: two files of one name")
        named.setdefault(path.stem, path)
    if problems:
        raise ConfigError(str(folder), problems[:_MOST_TOLD])
    return named


def _disagreements(files: Files) -> list[str]:
    """Return a line for each role that lacks names which others have."""
    every = sorted({name for named in files.values() for name in named})
    return [
        f"role {role} has no picture of {_listed(lacking)}, which other roles have"
        for role, named in files.items()
        if (lacking := [name for name in every if name not in named])
    ]


def _texts(folder: Path, names: Mapping[str, Any]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return {name: (text, group)} of the file of texts, and what is wrong with it."""
    path = folder / TEXTS
    if not path.exists():
        return {}, []
    try:
        rows = read_rows(path, needed=("name", "text"), allowed=("name", "text", "group"))
    except PanicError as error:
        return {}, [f"{TEXTS}: {problem}" for problem in getattr(error, "problems", [error])]
    texts = {row["name"]: (row["text"], row.get("group", "")) for row in rows}
    problems = [f"{TEXTS} names a picture twice"] if len(texts) < len(rows) else []
    if strangers := sorted(set(texts) - set(names)):
        problems.append(f"{TEXTS}: no picture of {_listed(strangers)}")
    if silent := sorted(set(names) - set(texts)):
        problems.append(f"{TEXTS}: no text of {_listed(silent)}")
    return texts, problems


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more
