"""Text from users as data: what could move or forge what a terminal or a page shows is escaped."""

import re
import unicodedata

# Letters and digits, with apostrophes and hyphens inside: "don't", "well-lit", "2nd".
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_PART = re.compile(r"(?<=[ \-_/+→])|(?<=\.)(?=[^\W\d])")
_HARMLESS = {"\n", "\t"}
_FORMULA = set("=+-@\uff1d\uff0b\uff0d\uff20")
"""How formulas begin; some spreadsheets take the wide forms too."""
# Control, format (direction marks among them), private, surrogate, and the two separators: any of
# them can move or forge what a terminal shows.
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def plain(text: str) -> str:
    """Return `text` with control and direction-changing characters shown as escapes."""
    return "".join(
        char
        if char in _HARMLESS or unicodedata.category(char) not in _HIDDEN
        else char.encode("unicode_escape").decode()
        for char in text
    )


def one_line(text: str, most: int | None = None) -> str:
    """Return `text` with its line ends and tabs as escapes, cut to `most` characters."""
    line = plain(text).replace("\n", "\\n").replace("\t", "\\t")
    return line if most is None or len(line) <= most else line[: most - 1] + "…"


def sheet_cell(text: str) -> str:
    """Return `text` for a cell of a CSV file: plain, and nothing that a spreadsheet would compute.

    An apostrophe goes before what begins as a formula does (=, +, -, @), as spreadsheets themselves
    write it.
    """
    shown = plain(text)
    return f"'{shown}" if shown.lstrip()[:1] in _FORMULA and shown.strip() else shown


def name_lines(name: str, width: int) -> list[str]:
    """Return a name in lines of at most `width` characters, which end between its parts.

    Parts end behind a blank, hyphen or stroke, and behind a dot that a word follows; inside a part
    only where it is wider.

    >>> name_lines("Drawn.strength-2.0.guidance-1", 12)
    ['Drawn.', 'strength-', '2.0.', 'guidance-1']
    """
    lines = [""]
    for part in _PART.split(name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        whole = lines[-1] + part
        lines[-1:] = [whole[at : at + width] for at in range(0, len(whole.rstrip()), width)] or [""]
    return lines


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case: what metrics count, analyses and series look for.

    Letters and digits of any script, with apostrophes and hyphens inside.
    """
    return _WORD.findall(text.lower())


def counted(number: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(nbytes: float) -> str:
    """Return a number of bytes as people write it: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if nbytes < 1000 or unit == "TB":
            break
        nbytes /= 1000
    return f"{nbytes:,.1f} {unit}"
