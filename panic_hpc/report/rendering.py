"""From templates to pages that ask nobody for anything: escaped, and closed by a policy.

Every string of a dataset is a stranger's. Whatever a template prints goes through `plain` (hidden
and direction-changing characters become escapes) and through HTML's escaping; scripts and styles
are ours, stand in the page, and are named in its Content-Security-Policy by their digests, so that
nothing else runs even where that fails.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from panic_hpc.plain_text import plain

TEMPLATES = tuple(
    Path(__file__).parent / page / "templates" for page in ("page", "explorer", "voting")
)
_DATA_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def render(
    template: str, style: str, scripts: Sequence[str], *, connects: bool = False, **values: Any
) -> bytes:
    """Return a page: `style` and `scripts` are files beside the template, put into it whole.

    One that `connects` may send to where it came from, others to nobody.
    """
    from markupsafe import Markup

    css, js = _source(style), "".join(map(_source, scripts))
    page = _environment().get_template(template)
    policy = _policy(css, js) + ("; connect-src 'self'" if connects else "")
    text = page.render(policy=policy, style=Markup(css), script=Markup(js), **values)
    # A lone surrogate, which a file name may bring, is no UTF-8; `plain` leaves none elsewhere.
    return str(text).encode("utf-8", "backslashreplace")


def data_json(value: Any) -> str:
    """Return JSON that can stand in a page's data block: it ends no script and no comment."""
    from markupsafe import Markup

    text = json.dumps(_plain_within(value), separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_DATA_ESCAPES))


def _plain_within(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(str(name)): _plain_within(one) for name, one in value.items()}
    return [_plain_within(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _source(name: str) -> str:
    found = next(folder / name for folder in TEMPLATES if (folder / name).is_file())
    return "\n" + found.read_text(encoding="utf-8")


def _policy(css: str, js: str) -> str:
    # "self" of a page that was opened as a file means other files, in every browser that was tried.
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data:; "
        f"style-src '{_digest(css)}'; script-src '{_digest(js)}'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader([str(folder) for folder in TEMPLATES]),
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Return what a template prints for a value: words with nothing hidden in them."""
    # What is marked as safe is a str too: our own style, script and data.
    return plain(value) if type(value) is str else value
