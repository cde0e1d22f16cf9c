"""Wrap paragraphs of the documents whose lines are longer than 100 columns; tables and code stay.

python tools/documents/wrap_documents.py [FILE…]

Without names: README.md, CONTRIBUTING.md and docs/*.md.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDTH = 100
ITEM = re.compile(r"(?P<margin> *)(?P<marker>[-*+]|\d+\.) +")
MEANS_SOMETHING_FIRST = re.compile(r" (?=([-+*#>|]+|\d+[.)])( |$))")
CODE_SPAN = re.compile(r"`[^`]+`")


def documents() -> list[Path]:
    """Return the documents whose width is kept."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def long_lines(text: str) -> list[int]:
    """Return the numbers, from 1, of lines of prose that are too long; pure."""
    numbered = (number for number, line in _prose(text.splitlines()) if len(line) > WIDTH)
    return [number + 1 for number in numbered]


def wrapped(text: str) -> str:
    """Return the text with each paragraph that has a line too long filled anew; pure."""
    lines = text.splitlines()
    prose = {number for number, _ in _prose(lines)}
    result: list[str] = []
    block: list[str] = []
    for number, line in enumerate(lines):
        if number not in prose or ITEM.match(line):
            result += _filled(block)
            block = []
        if number in prose:
            block.append(line)
        else:
            result.append(line)
    return "\n".join([*result, *_filled(block)]) + "\n"


def _prose(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (index, line) of lines that can be wrapped: no code, table, heading or HTML."""
    fenced = in_list = False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.strip():
            in_list = bool(ITEM.match(line)) or (in_list and line.startswith(" "))
            code = line.startswith("    ") and not in_list
            if not code and not line.lstrip().startswith(("|", "#", "<", "!")):
                yield number, line


def _filled(block: list[str]) -> list[str]:
    if all(len(line) <= WIDTH for line in block):
        return block
    item = ITEM.match(block[0])
    margin = item.group() if item else re.match(" *", block[0]).group()  # type: ignore[union-attr]
    words = " ".join(line.strip() for line in block)[len(margin.lstrip()) :]
    # A break inside a code span reads badly; some words at the head of a line would be markup.
    kept = CODE_SPAN.sub(lambda span: span.group().replace(" ", "\0"), words)
    kept = MEANS_SOMETHING_FIRST.sub("\0", kept)
    lines = textwrap.wrap(
        kept, WIDTH, initial_indent=margin, subsequent_indent=" " * len(margin),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


def main() -> None:
    """Wrap the files named, or all."""
    for path in [Path(name) for name in sys.argv[1:]] or documents():
        path.write_text(wrapped(path.read_text()))


if __name__ == "__main__":
    main()
