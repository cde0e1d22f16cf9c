"""How figures look, and how one becomes the same bytes each time."""

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from panic_hpc.plain_text import one_line

# Okabe and Ito's colours, told apart by the colour-blind too; yellow is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
# With every colour goes a marker, a dash and a hatch: no colour alone carries meaning.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "ooo", "---")
NULL_COLOUR = "0.82"
LABEL_CHARACTERS = 84
NOTHING = "(nothing)"
"""What a label says of an empty text."""
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Letters stay letters: a reviewer can search and select them.
    "pdf.fonttype": 42,
    "svg.hashsalt": "panic-hpc",
    "legend.frameon": False,
}
PNG_DPI = 160
# What matplotlib writes of itself and of the time would make every file another one.
_NO_METADATA = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in our style, whatever the user's own is, and leave that as it was."""
    from matplotlib import rc_context

    # DejaVu has no emoji; a label that has one is drawn with a box in its place.
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches."""
    from matplotlib.figure import Figure  # pyplot would keep every figure alive

    return Figure(figsize=(width, height), dpi=PNG_DPI, layout="constrained")


def figure_bytes(figure: Any, kind: str) -> bytes:
    """Return a figure as "png" or "pdf": the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=_NO_METADATA[kind])
    return stream.getvalue()


def label(text: object, width: int = LABEL_CHARACTERS) -> str:
    """Return a text of a dataset as a label: nothing hidden, not too long, broken at `width`."""
    line = one_line(str(text), LABEL_CHARACTERS) or NOTHING
    return "\n".join(textwrap.wrap(line, width)) or line


def unparsed(*artists: Any) -> None:
    """Keep texts from being read as formulas: a network may be called "$5 → $6"."""
    for artist in artists:
        artist.set_parse_math(False)
