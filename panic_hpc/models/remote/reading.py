"""What is taken of an answer: JSON, a text in it, a picture; all else is the item's failure."""

import base64
import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.models.remote.exchange import HttpAnswer
from panic_hpc.models.remote.server import ItemRefusedError
from panic_hpc.models.remote.templates import found_at
from panic_hpc.pictures.given import given_pixels


def json_of(answer: HttpAnswer) -> Any:
    """Return the JSON value of an answer."""
    try:
        return parse_json(answer.content)
    except ValueError as error:
        raise ItemRefusedError(f"the answer is no JSON ({error})") from error


def value_at(path: str, value: Any) -> Any:
    """Return what stands at a dotted path."""
    try:
        return found_at(path, value)
    except LookupError as error:
        raise ItemRefusedError(f"the answer has no {path}") from error


def text_at(path: str, value: Any) -> str:
    """Return the text at a dotted path."""
    found = value_at(path, value)
    if not isinstance(found, str):
        raise ItemRefusedError(f"the answer has no text at {path}")
    return found


def bytes_of(text: str) -> bytes:
    """Return what a text in base64 holds, or an address that is data itself."""
    content = text.partition("base64,")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ItemRefusedError("the picture is no base64") from error


def pixels_of(content: bytes) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3) uint8, through the door for pictures that people give."""
    try:
        return given_pixels(content)
    except ValueError as error:
        raise ItemRefusedError(f"the answer is no picture to take: {error}") from error
