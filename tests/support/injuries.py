"""Ways in which a published file is wrong, drawn by seed: flipped, cut, zeroed, swapped, forged."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import forge
import numpy as np

from panic_hpc.store.format.reader import ArrayFile

Injury = Callable[[Path, Path, random.Random], None]
"""Called with the file, another file of the same kind, and chance."""


def flipped(path: Path, other: Path, chance: random.Random) -> None:
    """Flip a bit anywhere in what the file's arrays and header are."""
    with ArrayFile(path) as file:
        entries = [entry for entry in file.entries.values() if entry.nbytes]
    entry = chance.choice(entries)
    forge.flip(path, entry.offset + chance.randrange(entry.nbytes))


def truncated(path: Path, other: Path, chance: random.Random) -> None:
    """Cut the file anywhere."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def zeroed(path: Path, other: Path, chance: random.Random) -> None:
    """Zero the end of the file from anywhere in the first half on, as after a loss of power."""
    content = path.read_bytes()
    start = chance.randrange(len(content) // 2)
    path.write_bytes(content[:start] + bytes(len(content) - start))


def swapped(path: Path, other: Path, chance: random.Random) -> None:
    """Put another file of the same experiment, or of another one, in its place."""
    shutil.copyfile(other, path)


def forged(path: Path, other: Path, chance: random.Random) -> None:
    """Change values of scientific content and make every checksum right again."""
    with ArrayFile(path) as file:
        candidates = [
            name for name in file.entries
            if name.endswith(("vector", "bars", "values", "runs/seed")) and file.rows(name)
            and not name.startswith(("shards", "prompts", "failures"))
        ]  # fmt: skip
    name = chance.choice(sorted(candidates))

    def change(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1).view(np.uint8)
        flat[chance.randrange(len(flat))] ^= 1
        return values

    forge.overwrite(path, name, change)


INJURIES: dict[str, Injury] = {
    one.__name__: one for one in (flipped, truncated, zeroed, swapped, forged)
}
