"""Reading ragged outputs of a dataset: rows found by bisection, bytes by offsets."""

from collections import Counter
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


def picture_keys(file: ArrayFile) -> dict[int, str]:
    """Return the digests of each prompt's pictures, one after the other, by row."""
    if "pictures/key" not in file:
        return {}
    found: dict[int, str] = {}
    keys = file.array("pictures/key").tolist()
    for row, key in zip(file.array("pictures/prompt").tolist(), keys, strict=True):
        found[row] = found.get(row, "") + key.decode("ascii", "replace")
    return found


def prompt_names(file: ArrayFile, metadata: Mapping[str, Any]) -> list[str]:
    """Return what prompts are called, no two alike: see Dataset.prompt_names."""
    texts = read_texts(file, "prompts", 0, file.rows("prompts/group"))
    digests = {row: keys[:8] for row, keys in picture_keys(file).items()}
    names = dict(enumerate(metadata.get("prompt_names", ())))
    called = [
        ": ".join(filter(None, (names.get(row) or f"picture {digests[row]}", text)))
        if row in digests
        else text
        for row, text in enumerate(texts)
    ]
    counts = Counter(called)
    # Of two folders, files of one name may be two pictures.
    return [
        f"{name} ({digests[row]})" if counts[name] > 1 and row in digests else name
        for row, name in enumerate(called)
    ]


def encoded_pictures(
    file: ArrayFile, metadata: Mapping[str, Any], prompt: int | None = None
) -> Iterator[tuple[int, str, bytes]]:
    """Yield (row of the prompt, role, picture as stored) of a prompt's pictures, or of all."""
    if "pictures/prompt" not in file:
        return
    prompts, roles = file.array("pictures/prompt"), file.array("pictures/role")
    offsets, names = file.array("pictures/offsets"), metadata["picture_roles"]
    rows = range(len(prompts)) if prompt is None else np.flatnonzero(prompts == prompt).tolist()
    for row in rows:
        content = file.slice("pictures/values", int(offsets[row]), int(offsets[row + 1]))
        yield int(prompts[row]), names[roles[row]], content.tobytes()


def prompt_pictures(
    file: ArrayFile, metadata: Mapping[str, Any], prompt: int | None = None
) -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
    """Yield (row of the prompt, role, pixels (H, W, 3)) of a prompt's pictures, or of all."""
    for row, role, content in encoded_pictures(file, metadata, prompt):
        try:
            yield row, role, decoded(content)
        except ValueError as error:
            raise ShardError(f"{file.path}: {role} of prompt {row}: {error}") from error
