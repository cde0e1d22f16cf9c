"""The contract of codecs: how outputs of one modality become the bytes that are stored."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from panic_hpc import installed


class Codec(Protocol):
    """A plugin: one modality, which is its `name`; `option` is the experiment's choice of codec.

    A codec that loses nothing may have `readable_at_once(value, option)`, one that loses something
    should have `numerics(option)`: see the functions.
    """

    name: str

    def problem(self, value: Any) -> str:
        """Return what is wrong with a model's output, "" where it can be stored."""

    def encode(self, value: Any, option: str) -> bytes:
        """Return the bytes that are stored."""

    def decode(self, content: bytes) -> Any:
        """Return the value that the next model reads; ValueError where the bytes are none."""

    def plain(self, value: Any) -> Any:
        """Return an ordinary value of `value`'s kind: any sound model can work on it."""

    def digest(self, value: Any) -> str:
        """Return 32 hex digits that are equal where two decoded values are."""


def readable_at_once(codec: Codec, value: Any, option: str) -> Any:
    """Return what the next model may read of `value` before it is stored, None to wait for that.

    Only a lossless codec can tell; what it stores is compared all the same.
    """
    own = getattr(codec, "readable_at_once", None)
    return own(value, option) if own else None


def with_codecs(
    numerics: Mapping[str, Any], codecs: Iterable[Codec], option: str
) -> Mapping[str, Any]:
    """Return a numerics class with the versions that decide what lossy codecs make of outputs.

    It stays as it is where no codec names any.
    """
    found = {}
    for codec in codecs:
        own = getattr(codec, "numerics", None)
        if versions := own(option) if own else {}:
            found[codec.name] = dict(versions)
    return {**numerics, "codecs": found} if found else numerics


def codec_of(modality: str) -> Codec:
    """Return the codec of `modality`; PanicError where there is none."""
    codec: Codec = installed.plugin("codecs", modality)
    return codec
