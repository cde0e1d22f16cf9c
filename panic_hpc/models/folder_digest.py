"""The revision of a model that is a folder: a digest of what is in it."""

import hashlib
from pathlib import Path


def folder_digest(folder: Path) -> str:
    """Return the SHA-256, in hex, over the folder's files: their sorted names and their contents.

    Names are relative with forward slashes. For each file the digest takes in the name's UTF-8
    bytes, a zero byte and the SHA-256 of the content, so that no two folders that differ in a
    name or a byte share a digest. Times, permissions, empty directories and names that begin with
    a dot do not count.
    """
    digest = hashlib.sha256()
    for name, path in sorted((p.relative_to(folder).as_posix(), p) for p in files_of(folder)):
        digest.update(name.encode() + b"\0" + file_digest(path))
    return digest.hexdigest()


def files_of(folder: Path) -> list[Path]:
    """Return the files in a folder and below that count: none with a hidden part in its name."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [p for p in found if not any(x.startswith(".") for x in p.relative_to(folder).parts)]


def file_digest(path: Path) -> bytes:
    """Return the SHA-256 of a file's content, reading it in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
