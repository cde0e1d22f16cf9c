"""Whether a dataset may be published at its target: over one of the same experiments, say."""

import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from panic_hpc.disk.files import read_json
from panic_hpc.disk.overwriting import admit
from panic_hpc.errors import PanicError
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.format.file_digest import DIGEST_FORMAT, digest_path

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def admit_dataset(
    target: Path,
    keys: Collection[str],
    inputs: Sequence[Path],
    *,
    home: Path | None = None,
    force: bool = False,
) -> None:
    """Raise PanicError where a dataset of the experiments `keys` must not be put at `target`.

    What may be replaced without `force` is a dataset of the very same experiments, and at `home`,
    the place of the experiment's own dataset, also one that is damaged. Covers the digest file too.
    """
    admit(target, inputs, force=force, is_own=partial(_is_own, frozenset(keys), home))
    admit(digest_path(target), inputs, force=force, is_own=_is_digest)


def _is_own(keys: frozenset[str], home: Path | None, path: Path) -> bool:
    found = _experiments_in(path)
    if found is not None:
        return found == keys
    is_at_home = home is not None and os.path.realpath(home) == os.path.realpath(path)
    return is_at_home and _was_dataset(path)


def _experiments_in(path: Path) -> frozenset[str] | None:
    """Return the keys of the experiments in a dataset; None where it is none or damaged."""
    try:
        with Dataset(path) as dataset:
            # A part has the experiments of the whole, and only some of the runs.
            if "part_of" in dataset.metadata:
                return frozenset()
            return frozenset(one["key"] for one in dataset.metadata["experiments"])
    except (
        PanicError,
        OSError,
        ArithmeticError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ):
        # Whatever is wrong with it, it is not known to be ours.
        return None


def _was_dataset(path: Path) -> bool:
    """Say whether a file that cannot be read is a damaged dataset, and not something else."""
    with path.open("rb") as stream:
        head = stream.read(len(_HDF5_SIGNATURE))
    return head == _HDF5_SIGNATURE or _is_digest(digest_path(path))


def _is_digest(path: Path) -> bool:
    try:
        value = read_json(path)
    except PanicError:
        return False
    return isinstance(value, dict) and value.get("format") == DIGEST_FORMAT
