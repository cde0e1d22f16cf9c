"""Which files of a repository a loader reads, and what is wrong with those that are there.

A repository often has the same weights several times over: in other formats, in half precision, in
one file beside the pieces, at the root beside the components. Everything here is told by names, the
repository's own index and the heads of files, so that neither a hub nor torch is needed.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

TEXTS = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".spm", ".bpe", ".vocab")
"""Configurations, chat templates and vocabularies; pickled weights are never read."""

PIPELINE, MODULES = "model_index.json", "modules.json"
INDEXES = (PIPELINE, MODULES)
"""Files that say which folders of a repository are parts of its model."""

_WEIGHTS = re.compile(
    r"(?P<stem>model|diffusion_pytorch_model)"
    r"(?:\.(?P<before>\w+))?(?P<part>-\d{5}-of-\d{5})?(?:\.(?P<after>\w+))?\.safetensors"
)
_MAX_HEAD = 100 * 10**6
_POINTER = b"version https://git-lfs"


def files_read(names: Collection[str], index: Any, variant: str, code: bool) -> tuple[str, ...]:
    """Return which of a repository's files are read to load its model, in order.

    `index` is the content of its `model_index.json` or `modules.json`, None where it has neither;
    `variant` is the one of weight files that is asked for, `code` says whether modules are run.
    """
    folders = parts(index)
    texts = TEXTS + ((".py",) if code else ())
    read = [name for folder in folders for name in _texts_of(folder, names, texts)]
    read += [name for folder in folders for name in _weights_of(folder, names, variant)]
    if isinstance(index, dict):
        read = [name for name in read if "/" in name or name == PIPELINE]
    return tuple(sorted(set(read)))


def parts(index: Any) -> tuple[str, ...]:
    """Return the folders that hold a model, "" for the root of its repository."""
    if isinstance(index, dict):
        named = [key for key, value in index.items() if not key.startswith("_") and _is_part(value)]
        return ("", *named)
    if isinstance(index, list):
        paths = [str(module.get("path", "")) for module in index if isinstance(module, dict)]
        return tuple(dict.fromkeys(("", *paths)))
    return ("", "additional_chat_templates")


def _is_part(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)


def _texts_of(folder: str, names: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    # An index of weights goes with the weights that it is of.
    return [
        name
        for name in names
        if _folder(name) == folder
        and name.endswith(endings)
        and not name.endswith(".safetensors.index.json")
    ]


def _weights_of(folder: str, names: Iterable[str], variant: str) -> list[str]:
    """Return a folder's weights of `variant`, of none where it has none of that, and their index.

    One file goes before pieces, as transformers and diffusers choose.
    """
    found: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        match = _WEIGHTS.fullmatch(PurePosixPath(name).name)
        if match and _folder(name) == folder:
            kind = match["before"] or match["after"] or ""
            found.setdefault((kind, match["part"] is not None), []).append(name)
    for kind in dict.fromkeys((variant, "")):
        if (kind, False) in found:
            return found[kind, False]
        if (kind, True) in found:
            return [*found[kind, True], *_index_of(folder, names, kind)]
    return []


def _index_of(folder: str, names: Iterable[str], kind: str) -> list[str]:
    ending = f"safetensors.index.{kind}.json" if kind else "safetensors.index.json"
    return [name for name in names if _folder(name) == folder and name.endswith(ending)]


def _folder(name: str) -> str:
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else parent


def lacking(folder: Path, sizes: Mapping[str, int], variant: str, code: bool) -> list[str]:
    """Return a line for each file that loading the model in `folder` would not find or not read.

    `sizes` are those of the repository's files, empty where they are not known: then the model's
    own indexes say what has to be there.
    """
    if not folder.is_dir():
        return ["nothing of it is there"]
    index = read_index(folder)
    if index is None and (named := [name for name in INDEXES if name in sizes]):
        return [f"{named[0]} is missing"]
    names = files_read(sizes, index, variant, code)
    problems = [line for name in names for line in _file_problem(folder / name, name, sizes[name])]
    return problems or _structure_problems(folder, index) or damaged(folder)


def read_index(folder: Path) -> Any:
    """Return the content of a folder's index of parts, None without one."""
    for name in INDEXES:
        try:
            return json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return None


def size_of(path: Path) -> int | None:
    """Return the bytes of a file, None where it is away: another fetch may bring it anew."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _file_problem(path: Path, name: str, size: int) -> list[str]:
    # Snapshots are links into blobs/, which a purge of scratch empties first: they are followed.
    found = size_of(path)
    if found is None:
        return [f"{name} is missing"]
    return [] if found == size else [f"{name} has {found:,} of {size:,} bytes"]


def _structure_problems(folder: Path, index: Any) -> list[str]:
    if isinstance(index, dict):
        return [line for part in parts(index)[1:] for line in _part_problems(folder, part)]
    problems = _weight_problems(folder, "")
    return problems if (folder / "config.json").exists() else ["config.json is missing", *problems]


def _part_problems(folder: Path, part: str) -> list[str]:
    if not any(path.suffix == ".json" and path.exists() for path in (folder / part).glob("*")):
        return [f"{part}/ has no configuration"]
    # Schedulers, tokenizers and image processors call theirs otherwise, and have no weights.
    return _weight_problems(folder, part) if (folder / part / "config.json").exists() else []


def _weight_problems(folder: Path, part: str) -> list[str]:
    """Return what is missing of a part's weights: pieces that an index names, or all of them."""
    place = folder / part
    there = {path.name for path in place.glob("*.safetensors") if path.exists()}
    if any(match and not match["part"] for match in map(_WEIGHTS.fullmatch, there)):
        return []
    wanted = [name for path in place.glob("*.safetensors.index*.json") for name in _pieces(path)]
    missing = [name for name in dict.fromkeys(wanted) if name not in there]
    prefix = f"{part}/" if part else ""
    if missing:
        return [f"{prefix}{name} is missing" for name in missing]
    return [] if there else [f"{prefix or 'the folder '}has no weights in safetensors"]


def _pieces(path: Path) -> list[str]:
    try:
        weights = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return sorted({str(name) for name in weights.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"what {path.name} should name"]


def damaged(folder: Path) -> list[str]:
    """Return a line for each file of weights in `folder` that is cut off or something else."""
    told = {
        path.relative_to(folder): weights_problem(path)
        for path in sorted(folder.rglob("*.safetensors"))
        if path.is_file()
    }
    return [f"{name} {what}" for name, what in told.items() if what]


def weights_problem(path: Path) -> str:
    """Return what is wrong with a file of weights by its head and length, "" for nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
        if start == _POINTER:
            return "is a pointer of git-lfs, not the weights (git lfs pull brings them)"
        length = int.from_bytes(start[:8], "little")
        if size < 8 or not 0 < length <= min(size - 8, _MAX_HEAD):
            return "is no file of safetensors, or is cut off in its head"
        file.seek(8)
        head = file.read(length)
    try:
        ends = [t["data_offsets"][1] for name, t in json.loads(head).items() if name[:2] != "__"]
        wanted = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "is no file of safetensors"
    return "" if size == wanted else f"is cut off, or has a tail: {size:,} of {wanted:,} bytes"
