"""The models that ship with the package: entries of the generic families, weights beside this file.

`microworld/models.toml` has a table a model: folder, kind, consumes, revision (the folder's
digest) and settings. A folder given by path instead has the same identity.
"""

import tomllib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from panic_hpc.types import EMBEDDING, ModelEntry

SECONDS = 0.02
_ROOT = Path(__file__).with_name("microworld")


@cache
def _table() -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads((_ROOT / "models.toml").read_text(encoding="utf-8"))
    # tools/train_microworld.py imports this before there are any weights.
    except FileNotFoundError:
        return {}


def entries(kind: str, settings: Collection[str]) -> tuple[ModelEntry, ...]:
    """Return the built-in models of a kind; `settings` names what their family may be told."""
    tables = _table().items()
    return tuple(_entry(name, t, settings) for name, t in tables if t["kind"] == kind)


def _entry(name: str, table: dict[str, Any], settings: Collection[str]) -> ModelEntry:
    values = table | {"modality": table["consumes"]}
    return ModelEntry(
        name,
        table["consumes"],
        table.get("produces", EMBEDDING),
        revision=table["revision"],
        defaults={key: value for key, value in values.items() if key in settings},
        seconds=table.get("seconds", SECONDS),
        timing="on one CPU core",
        tried="weights",
        note="built in",
    )


def folder_of(revision: str) -> Path | None:
    """Return the folder of the built-in model whose digest is `revision`."""
    folders = {table["revision"]: table["folder"] for table in _table().values()}
    return _ROOT / folders[revision] if revision in folders else None
