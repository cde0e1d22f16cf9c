"""A little search: its base experiment, its file, and the content keys of its rounds."""

import json
from pathlib import Path
from typing import Any

import panic_hpc

BASE: dict[str, Any] = {
    "networks": [["DummyT2I", "DummyI2T"]],
    "prompts": ["a red apple", "the moon"],
    "seeds": [1],
    "max_length": 2,
    "stages": {"metrics": {"models": ["Luminance"]}},
}
SEARCH = """
experiment = "base.json"
measure = "Luminance.mean"
rounds = 2
trials = 3

[space]
"DummyT2I.size" = { low = 16, high = 24 }
"DummyT2I.variant" = { choices = [1, 2] }
"""


def written(folder: Path, text: str = SEARCH, **changes: Any) -> Path:
    """Write the search and its base, with these changes, into `folder`."""
    (folder / "base.json").write_text(json.dumps({**BASE, **changes}))
    (folder / "search.toml").write_text(text)
    return folder / "search.toml"


def keys_of(root: Path) -> list[str]:
    """Return the content keys of the rounds that a search in `root` has ended."""
    datasets = sorted(root.glob("rounds/*/dataset.h5"))
    return [panic_hpc.open(path).content_key for path in datasets]
