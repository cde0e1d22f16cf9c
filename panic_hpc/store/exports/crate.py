"""A dataset with what a repository asks for: README, licence, citation, checksums, metadata."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.disk.copying import copy_range
from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.disk.publish import replacing
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.exports import crate_texts, crate_workflow
from panic_hpc.store.exports.crate_inputs import write_inputs
from panic_hpc.store.exports.crate_workflow import EXPERIMENT, WORKFLOW
from panic_hpc.store.format.file_digest import digest_path
from panic_hpc.store.format.references import require_whole

_WRITTEN = (
    EXPERIMENT,
    WORKFLOW,
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "datacite.json",
    "ro-crate-metadata.json",
    "SHA256SUMS",
)
_AUTHOR = 'For example --title "Wandering loops" --author "Doe, Jane"'
_PIECE_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Description:
    """What people say of a dataset; authors are `Family, Given` or `Family, Given <ORCID>`."""

    title: str
    authors: tuple[str, ...]
    text: str = ""
    licence: str = "CC-BY-4.0"
    publisher: str = ""


def require_described(about: Description) -> None:
    """Raise PanicError where title, authors or licence are none that a repository takes."""
    if not about.authors:
        raise PanicError("A crate needs an author", hint=_AUTHOR)
    for noun, text in (("title", about.title), *(("author", one) for one in about.authors)):
        if not text.strip(" ,<>") or not text.isprintable():
            raise PanicError(f"{text!r} is no {noun}: one line of text was expected", hint=_AUTHOR)
    if (canonical := _spdx(about.licence)) != about.licence:
        raise PanicError(
            f"{about.licence!r} is no SPDX identifier of a licence",
            hint=f"Did you mean {canonical}?" if canonical else "For example CC-BY-4.0 or CC0-1.0",
        )


def _spdx(licence: str) -> str:
    """Return a licence's identifier as SPDX writes it, "" where there is none."""
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError as error:
        raise PanicError(
            "Crates need packaging", hint="pip install 'panic-hpc[publish]'"
        ) from error
    try:
        return canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        return ""


def export_crate(data: Sequence[Path], directory: Path, about: Description) -> list[Path]:
    """Put datasets, unless they are there, and their metadata into `directory`; return the files.

    PanicError where rocrate is missing, nobody is named as author, or a file is there already.
    """
    require_described(about)
    for name in _WRITTEN:
        admit(directory / name, data)
    for path in data:
        with Dataset(path) as dataset:
            require_sound(dataset.file)
            # A crate is for those who do not have the shards.
            require_whole(dataset.file)
    copies = [copy_file(path, directory / path.name) for path in data]
    with Dataset(copies[0]) as dataset:
        texts = {
            "README.md": crate_texts.readme(dataset, about, [path.name for path in copies]),
            "LICENSE": crate_texts.licence(about.licence),
            "CITATION.cff": crate_texts.citation(dataset, about),
            "datacite.json": to_json(crate_texts.datacite(dataset, about, copies)).decode(),
            EXPERIMENT: to_json(crate_workflow.experiments(dataset)).decode(),
            WORKFLOW: to_json(crate_workflow.workflow(dataset)).decode(),
        }
        write_inputs(dataset, directory)
        for name, text in texts.items():
            replace_file(directory / name, text.encode())
        described = crate_workflow.ro_crate(dataset, about, copies, sorted(texts))
    replace_file(directory / "ro-crate-metadata.json", json.dumps(described, indent=2).encode())
    replace_file(directory / "SHA256SUMS", checksums(directory).encode())
    return sorted(directory.iterdir())


def require_empty(directory: Path, inputs: Sequence[Path] = ()) -> None:
    """Create a directory; PanicError where there is one with something in it."""
    # Before the other: nothing makes a crate be written over something.
    if directory.is_dir() and any(directory.iterdir()):
        raise PanicError(f"{directory} is not empty", hint="Name a new directory")
    admit_directory(directory, inputs)
    make_any_directory(directory)


def copy_file(source: Path, target: Path) -> Path:
    """Copy a dataset and its digest file, sharing their blocks where the file system can."""
    if source == target:
        return target
    for path, place in ((source, target), (digest_path(source), digest_path(target))):
        admit(place, [path])
        if path.exists():
            with path.open("rb") as stream, replacing(place) as out:
                size = os.fstat(stream.fileno()).st_size
                copy_range(stream.fileno(), 0, out.fileno(), 0, size, str(path))
    return target


def checksums(directory: Path) -> str:
    """Return lines that `sha256sum -c` understands, of all files in a folder."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*")}
    return "".join(
        f"{file_sha256(path)}  {name}\n"
        for name, path in sorted(files.items())
        if path.is_file() and name != "SHA256SUMS" and not path.name.startswith(".")
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()
