"""What the explorer's page holds: points as numbers, captions as texts, both compressed."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from panic_hpc.plain_text import one_line
from panic_hpc.report.explorer.projection import StateMap
from panic_hpc.report.explorer.sheets import PictureSheet

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

CAPTION_LENGTHS = (1200, 600, 300, 150, 80, 40, 0)
"""Characters at which captions are cut, longest first, until they fit."""
UNCUT = -1
PROMPT_CHARACTERS = 300
MOST_PAGE_BYTES = 4_600_000
"""Of the page without its pictures; what is not data takes under 100 kB of 5 MB."""


def packed(maps: Sequence[StateMap]) -> str:
    """Return all maps' numbers, little endian: for each places, away, run and step."""
    parts = [
        array.tobytes()
        for one in maps
        for array in (
            np.ascontiguousarray(one.places, "<u2"),
            np.ascontiguousarray(one.away, "<u2"),
            np.ascontiguousarray(one.run, "<u4"),
            np.ascontiguousarray(one.step, "<u4"),
        )
    ]
    return _compressed(b"".join(parts))


def about_map(states: StateMap) -> dict[str, Any]:
    """Return what the page says of a map, and how many points it has."""
    return {
        "model": states.model,
        "modality": states.modality,
        "points": len(states.run),
        "states": states.n_states,
        "farthest": round(states.farthest, 4),
        "shares": [round(share, 4) for share in states.shares],
    }


def captions(dataset: "Dataset", maps: Sequence[StateMap], room: int) -> tuple[str, int]:
    """Return the texts of shown states, compressed, and where they were cut (UNCUT: nowhere).

    By run: {row: [[step, …], [text, …]]}. A picture's text is that of the step after it.
    """
    texts = {run: _texts(dataset, run, steps) for run, steps in _steps(maps).items()}
    longest = max((len(text) for own in texts.values() for text in own.values()), default=0)
    for length in CAPTION_LENGTHS:
        value = {
            run: [list(own), [one_line(text, length) for text in own.values()]]
            for run, own in texts.items()
        }
        packed_texts = _compressed(json.dumps(value, ensure_ascii=False).encode())
        if len(packed_texts) <= room or length == 0:
            return packed_texts, length if longest > length else UNCUT
    raise AssertionError("captions of no characters are the last")


def _steps(maps: Sequence[StateMap]) -> Mapping[int, set[int]]:
    found: dict[int, set[int]] = {}
    for one in maps:
        shift = 0 if one.modality == "text" else 1
        for run, step in zip(one.run.tolist(), (one.step + shift).tolist(), strict=True):
            found.setdefault(run, set()).add(step)
    return found


def _texts(dataset: "Dataset", run: int, steps: set[int]) -> dict[int, str]:
    return {step: text for step, text in dataset.texts(run).items() if step in steps}


def about_runs(
    dataset: "Dataset", runs: Sequence[int], sheets: Mapping[int, PictureSheet]
) -> dict[str, Any]:
    """Return the runs that are shown, their networks and prompts by number, and their pictures."""
    rows = dataset.runs().rows(named=True)
    shown = [rows[run] for run in runs]
    prompts = dataset.prompt_names()
    used = sorted({row["prompt"] for row in shown})
    return {
        "networks": dataset.networks()["name"].to_list(),
        "prompts": {row: one_line(prompts[row], PROMPT_CHARACTERS) for row in used},
        "runs": {
            row["run"]: {
                "network": row["network"],
                "prompt": row["prompt"],
                "seed": str(row["seed"]),
                "ended": row["ended"],
                "steps": row["n_steps"],
                "loop": [row["loop_start"], row["loop_length"]],
                "sheet": _about_sheet(sheets.get(row["run"])),
            }
            for row in shown
        },
    }


def _about_sheet(sheet: PictureSheet | None) -> dict[str, Any] | None:
    if sheet is None:
        return None
    return {"steps": list(sheet.steps), "tile": sheet.tile, "columns": sheet.columns}


def _compressed(content: bytes) -> str:
    # No time in its header: the same dataset gives the same page.
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode("ascii")
