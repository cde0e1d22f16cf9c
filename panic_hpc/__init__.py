"""PANIC-TDA experiments at the scale of a cluster."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

__all__ = ["open"]


def open(path: str | PathLike[str]) -> "Dataset":
    """Open a dataset for reading; ShardError where it is absent, damaged, newer or another file."""
    from panic_hpc.store.dataset.dataset import open_dataset

    return open_dataset(Path(path))
