"""Ways in which a published file is wrong, drawn by seed: flipped, cut, zeroed, swapped, forged.

Or foreign: what other programs write. Records of JSON can be hurt in these ways too.
"""

import gzip
import io
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import forge
import h5py
import numpy as np

from panic_hpc.store.format.reader import ArrayFile

Injury = Callable[[Path, Path, random.Random], None]
"""Called with the file, another file of the same kind, and chance."""


def flipped(path: Path, other: Path, chance: random.Random) -> None:
    """Flip a bit anywhere in what the file's arrays and header are, or in a record."""
    if path.suffix != ".h5":
        forge.flip(path, chance.randrange(path.stat().st_size))
        return
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


def foreign(path: Path, other: Path, chance: random.Random) -> None:
    """Put a stray file there: one that another program wrote."""
    make = chance.choice(STRAY)
    path.unlink()
    path.write_bytes(make(chance))


def _nothing(chance: random.Random) -> bytes:
    return b""


def _noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 20_000))


def _text(chance: random.Random) -> bytes:
    return b"".join(b"%d %d\n" % (line, chance.randrange(99)) for line in range(200))


def _json(chance: random.Random) -> bytes:
    return json.dumps(chance.choice([None, 1, [], {}, {"format": "panic_hpc"}, ["x"]])).encode()


def _zip(chance: random.Random) -> bytes:
    return gzip.compress(_text(chance))


def _hdf5(chance: random.Random) -> bytes:
    """Return an HDF5 file of another program, some with groups of our names."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name in chance.sample(["a", "runs/index", "embeddings/vector", "header"], 2):
            file[name] = np.arange(chance.randrange(1, 99))
    return stream.getvalue()


def _sqlite(chance: random.Random) -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE run (id INTEGER)")
        database.executemany("INSERT INTO run VALUES (?)", [(n,) for n in range(9)])
    whole = database.serialize()
    database.close()
    return whole


STRAY = (_nothing, _noise, _text, _json, _zip, _hdf5, _sqlite)
"""What other programs leave where a file of ours should be."""


def forged(path: Path, other: Path, chance: random.Random) -> None:
    """Change values of scientific content and make every checksum right again."""
    with ArrayFile(path) as file:
        candidates = [
            name for name in file.entries
            if name.endswith(("vector", "bars", "/value", "values", "runs/seed"))
            and file.rows(name)
            and not name.startswith(("shards", "prompts", "failures"))
        ]  # fmt: skip
    name = chance.choice(sorted(candidates))

    def change(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1).view(np.uint8)
        flat[chance.randrange(len(flat))] ^= 1
        return values

    forge.overwrite(path, name, change)


INJURIES: dict[str, Injury] = {
    one.__name__: one for one in (flipped, truncated, zeroed, swapped, foreign, forged)
}
