"""Reading ragged outputs of a dataset: rows found by bisection, bytes by offsets."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ShardError
from panic_hpc.pictures.stored import decoded
from panic_hpc.store.format import ragged
from panic_hpc.store.format.column import OUTPUT_GROUPS
from panic_hpc.store.format.reader import ArrayFile


def lower_bound(file: ArrayFile, name: str, value: int) -> int:
    """Return the first row of an ascending column that is not below `value`: log n reads."""
    # Not searchsorted on the column: one run's texts must not cost reading every run's rows.
    low, high = 0, file.rows(name)
    while low < high:
        middle = (low + high) // 2
        if int(file.slice(name, middle, middle + 1)[0]) < value:
            low = middle + 1
        else:
            high = middle
    return low


def output_rows(file: ArrayFile, modality: str, first: int, last: int) -> tuple[int, int]:
    """Return the rows of a modality's table that invocations `first` to `last` made."""
    name = f"{OUTPUT_GROUPS[modality]}/invocation"
    if name not in file:
        return 0, 0
    return lower_bound(file, name, first), lower_bound(file, name, last)


def read_texts(file: ArrayFile, group: str, first: int, last: int) -> list[str]:
    """Return the texts in rows `first` to `last` of a ragged table; ShardError for other bytes."""
    offsets = file.slice(f"{group}/offsets", first, last + 1)
    values = file.slice(f"{group}/values", int(offsets[0]), int(offsets[-1]))
    try:
        return ragged.unpack_texts(offsets, values)
    except UnicodeDecodeError as error:
        raise ShardError(f"{file.path} has a text in {group} that is not UTF-8") from error


def outputs_between(
    file: ArrayFile, modality: str, first: int, last: int
) -> Iterator[tuple[int, bytes]]:
    """Yield (row of the invocation, output as stored) of invocations `first` to `last`."""
    group = OUTPUT_GROUPS[modality]
    start, stop = output_rows(file, modality, first, last)
    if start == stop:
        return
    rows = file.slice(f"{group}/invocation", start, stop).tolist()
    edges = file.slice(f"{group}/offsets", start, stop + 1).tolist()
    for place, row in enumerate(rows):
        yield row, file.slice(f"{group}/values", *edges[place : place + 2]).tobytes()


def prompt_pictures(
    file: ArrayFile, metadata: Mapping[str, Any], prompt: int
) -> dict[str, NDArray[np.uint8]]:
    """Return the pictures of a prompt, by row, as (H, W, 3) uint8 by role; {} without any."""
    if "pictures/prompt" not in file:
        return {}
    roles, role = metadata["picture_roles"], file.array("pictures/role")
    offsets = file.array("pictures/offsets")
    pictures = {}
    for row in np.flatnonzero(file.array("pictures/prompt") == prompt).tolist():
        content = file.slice("pictures/values", int(offsets[row]), int(offsets[row + 1]))
        try:
            pictures[roles[role[row]]] = decoded(content.tobytes())
        except ValueError as error:
            raise ShardError(f"{file.path}: picture {row} of prompts: {error}") from error
    return pictures
