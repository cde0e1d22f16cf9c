"""File names made of data: the one way from a name in somebody's file to a name in a folder."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from panic_hpc.errors import PanicError

MOST_BYTES = 80
"""File systems take 255; exports put things before and after it."""

_DIGEST_HEX = 16
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")


def file_name(text: str) -> str:
    """Return a file name for any text: no separator, no control character, no "." or "-" first.

    A text of at most 80 letters, digits, ".", "_", "+", "-" stays as it is; any other loses what
    cannot be in a name and gets a digest, so that different texts keep different names.

    >>> file_name("DummyT2I+DummyI2T")
    'DummyT2I+DummyI2T'
    >>> file_name("../../etc/passwd")
    '_.._.._etc_passwd-3754d6cb3a38e118'
    """
    safe = _UNSAFE.sub("_", text)
    safe = f"_{safe}" if safe[:1] in ("", ".", "-") else safe
    return safe if safe == text and len(safe) <= MOST_BYTES else _marked(text, safe)


def file_names(texts: Iterable[str]) -> dict[str, str]:
    """Return {text: file name}, no two of which are one where case makes no difference."""
    names = {text: file_name(text) for text in texts}
    counts = Counter(name.lower() for name in names.values())
    # All of them and not only those that collide, since a marked name may be another's own.
    if max(counts.values(), default=1) > 1:
        return {text: _marked(text, name) for text, name in names.items()}
    return names


def require_within(path: Path, directory: Path) -> None:
    """Raise PanicError where `path`, links followed, is not in `directory`."""
    real, root = (Path(os.path.realpath(one)) for one in (path, directory))
    if not real.is_relative_to(root):
        raise PanicError(f"{path} leads out of {directory}, to {real}", hint="Name a new directory")


def _marked(text: str, safe: str) -> str:
    # Lone surrogates are text too, where it came from a file.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_HEX]
    return f"{safe[: MOST_BYTES - _DIGEST_HEX - 1]}-{digest}"
