"""Write the tables of docs/format.md from declarations and rules, between their markers.

python tools/documents/format_tables.py docs/format.md
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from panic_hpc.store.checks.rules import RULES
from panic_hpc.store.dataset.schema import (
    CHECKSUMS,
    HEADER,
    PICTURES,
    REFERENCES,
    TABLES,
    kind_columns,
)
from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import kind_of
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, RUNS

MODEL = "<model>"
_MARKED = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def column_table(columns: Iterable[Column]) -> str:
    """Return a table of columns: name, dtype, axes, unit, meaning and codes, digest."""
    lines = ["| array | dtype | axes | unit | meaning | digest |", "|---|---|---|---|---|---|"]
    for column in columns:
        codes = ", ".join(f"{code} {word}" for word, code in column.codes.items())
        meaning = f"{column.meaning} ({codes})" if codes else column.meaning
        digest = "yes" if column.scientific else ""
        axes, dtype = ", ".join(column.axes), column.dtype.lstrip("|")
        cells = (f"`{column.name}`", f"`{dtype}`", axes, column.unit, meaning, digest)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def rule_table() -> str:
    """Return a table of the rules."""
    lines = ["| rule | importance | a file MUST |", "|---|---|---|"]
    lines += [f"| {rule.id} | {rule.importance} | {rule.must} |" for rule in RULES]
    return "\n".join(lines) + "\n"


def tables() -> dict[str, str]:
    """Return every table by the name of its markers."""
    return {
        "runs": column_table(kind_columns(kind_of(RUNS), "")),
        "embeddings": column_table(kind_columns(kind_of(EMBEDDINGS), MODEL)),
        "metrics": column_table(kind_columns(kind_of("metrics"), "<metric>")),
        "activations": column_table(kind_columns(kind_of("activations"), MODEL)),
        "diagrams": column_table(kind_columns(kind_of(DIAGRAMS), MODEL)),
        "tables": column_table([*TABLES, HEADER, *CHECKSUMS]),
        "pictures": column_table(PICTURES),
        "references": column_table(REFERENCES),
        "embeddings-shard": column_table(kind_of(EMBEDDINGS).columns),
        "metrics-shard": column_table(kind_of("metrics").columns),
        "activations-shard": column_table(kind_of("activations").columns),
        "diagrams-shard": column_table(kind_of(DIAGRAMS).columns),
        "rules": rule_table(),
    }


def filled(text: str) -> str:
    """Return a document with the text between its markers replaced by the tables."""
    found = tables()
    return _MARKED.sub(lambda match: match[1] + found[match[2]] + match[3], text)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text()))
