"""PANIC-TDA experiments at the scale of a cluster."""

import importlib
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panic_hpc.api import (
        SubmitRequest,
        open_workspace,
        plan,
        preview,
        request_for,
        status,
        status_rows,
        submit,
        wait,
    )
    from panic_hpc.store.dataset.dataset import Dataset

_OF_API = (
    "SubmitRequest",
    "open_workspace",
    "plan",
    "preview",
    "request_for",
    "status",
    "status_rows",
    "submit",
    "wait",
)

__all__ = [
    "SubmitRequest",
    "open",
    "open_workspace",
    "plan",
    "preview",
    "request_for",
    "status",
    "status_rows",
    "submit",
    "wait",
]


def open(path: str | PathLike[str]) -> "Dataset":
    """Open a dataset for reading; ShardError where it is absent, damaged, newer or another file.

    dataset = panic_hpc.open("EXP/dataset.h5")
    """
    from panic_hpc.store.dataset.dataset import open_dataset

    return open_dataset(Path(path))


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: a worker and a plug-in need none of it.
    if name in _OF_API:
        return getattr(importlib.import_module("panic_hpc.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_API})
