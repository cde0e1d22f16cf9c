"""The pictures of prompts as a dataset holds them: each once for every prompt that has it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ShardError
from panic_hpc.merging.unify import ExperimentInfo
from panic_hpc.pictures.given import read_stored
from panic_hpc.store.format.ragged import offsets_of
from panic_hpc.types import Prompt


def roles_of(prompts: Sequence[Prompt]) -> list[str]:
    """Return the roles of all pictures, in order."""
    return sorted({role for prompt in prompts for role, _ in prompt.pictures})


def picture_arrays(
    prompts: Sequence[Prompt], experiments: Sequence[ExperimentInfo]
) -> dict[str, NDArray[Any]]:
    """Return the table of pictures, {} where no prompt has one; all of them are in memory.

    Raises ShardError where a file is not there, or is another picture than was planned.
    """
    roles = {role: row for row, role in enumerate(roles_of(prompts))}
    rows = [
        (number, role, digest)
        for number, prompt in enumerate(prompts)
        for role, digest in prompt.pictures
    ]
    if not rows:
        return {}
    files = {digest: path for one in experiments for digest, path in one.pictures.items()}
    contents = [_content(files, digest) for _, _, digest in rows]
    return {
        "pictures/prompt": np.array([number for number, _, _ in rows], np.int32),
        "pictures/role": np.array([roles[role] for _, role, _ in rows], np.int32),
        "pictures/key": np.array([digest for _, _, digest in rows], "S32"),
        "pictures/offsets": offsets_of(map(len, contents)),
        "pictures/values": np.frombuffer(b"".join(contents), np.uint8),
    }


def _content(files: Mapping[str, Path], digest: str) -> bytes:
    path = files.get(digest)
    try:
        if path is None:
            raise ValueError("no experiment has it")
        read_stored(path, digest)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ShardError(
            f"{path or digest}, a picture of a prompt, cannot be merged ({error})",
            hint="Plan the experiment anew in a new directory",
        ) from error
