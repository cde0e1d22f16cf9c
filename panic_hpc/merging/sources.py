"""Opening what a merge copies from."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from panic_hpc.errors import ShardError
from panic_hpc.merging.run_sources import Source
from panic_hpc.store.format.reader import OpenArrays


@contextmanager
def opened(source: Source) -> Iterator[OpenArrays]:
    """Open the arrays of a source; ShardError where its file is gone."""
    try:
        descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ShardError(f"{source.path} disappeared while it was merged") from error
    try:
        yield OpenArrays(Path(source.path), descriptor, source.entries)
    finally:
        os.close(descriptor)
