"""Write the tables of docs/models.md from the rows of models, between their markers.

python tools/documents/model_table.py docs/models.md
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from panic_hpc.experiment import catalogue
from panic_hpc.types import ModelEntry

KINDS = {
    "text_to_image": ("text", "image"),
    "captioners": ("image", "text"),
    "text_embedding": ("text", "embedding"),
    "image_embedding": ("image", "embedding"),
}
TRIED = {"": "nothing", "class": "its class"}
_MARKED = re.compile(r"(<!-- models: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return a document with the tables between its markers written anew."""
    return _MARKED.sub(lambda found: found[1] + _table(found[2]) + found[4], text)


def _table(name: str) -> str:
    entries = [entry for entry in catalogue.load().entries.values() if entry.repository]
    unknown = [e for e in catalogue.load().entries.values() if e.unavailable and not e.repository]
    if name == "unavailable":
        return _rows(("name", "repository", "why"), map(_unavailable, _lost([*entries, *unknown])))
    kind = KINDS[name]
    known = [e for e in entries if not e.unavailable and (e.consumes, e.produces) == kind]
    head = ("name", "repository, class", "GB", "licence", "gated", "needs", "tried", "what to know")
    return _rows(head, map(_known, known))


def _lost(entries: Iterable[ModelEntry]) -> list[ModelEntry]:
    return [entry for entry in entries if entry.unavailable]


def _known(entry: ModelEntry) -> tuple[str, ...]:
    pinned = entry.revision[:10] or entry.ref
    where = f"{entry.repository}{f' @ {pinned}' if pinned else ''}, {entry.architecture}"
    gated = {True: "yes", False: "no", None: "?"}[entry.gated]
    facts = (f"{entry.gb:g}" if entry.gb else "?", entry.licence or "?", gated)
    return (entry.name, where, *facts, ", ".join(entry.needs), TRIED[entry.tried], entry.note)


def _unavailable(entry: ModelEntry) -> tuple[str, ...]:
    return entry.name, entry.repository or "-", entry.unavailable


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head), *map(tuple, rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
