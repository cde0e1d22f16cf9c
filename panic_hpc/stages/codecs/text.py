"""Texts are stored as UTF-8; lone surrogates, which some tokenizers emit, survive."""

import hashlib
from typing import Any

from panic_hpc.keys import KEY_HEX
from panic_hpc.types import TEXT

LENGTH_LIMIT = 1_000_000
"""Characters: far beyond what any limit of tokens allows, so a text beyond it is a fault."""


class TextCodec:
    """The codec of texts."""

    name = TEXT

    def problem(self, value: Any) -> str:
        """Return what is wrong with a caption; the empty one is a caption too."""
        # Upstream stores "[empty]" for an empty caption and so prompts with that word; here it
        # stays empty, with a flag.
        if not isinstance(value, str):
            return f"a text was expected, not {type(value).__name__}"
        n = len(value)
        return "" if n <= LENGTH_LIMIT else f"a text of {n} characters is more than {LENGTH_LIMIT}"

    def readable_at_once(self, value: str, option: str) -> str:
        """Return the text: UTF-8 is lossless."""
        return value

    def encode(self, value: str, option: str = "") -> bytes:
        """Return the UTF-8 of a text."""
        # Byte-level tokenizers cut in the middle of a character; an error here would end the run.
        return value.encode("utf-8", "surrogatepass")

    def decode(self, content: bytes) -> str:
        """Return the text again."""
        return content.decode("utf-8", "surrogatepass")

    def plain(self, value: str) -> str:
        """Return a plain prompt."""
        return "a picture"

    def digest(self, value: str) -> str:
        """Return the digest of a text's UTF-8."""
        return hashlib.sha256(self.encode(value)).hexdigest()[:KEY_HEX]


PLUGINS = (TextCodec(),)
