"""A model in a program of its own, spoken with over pipes: for engines that need another Python.

A message is the length of a JSON text (4 bytes, little-endian), the text, and for each of its
`images` the bytes of its pixels, (height, width, 3) uint8. The program is asked, and answers each
message with one; it ends when its standard input does. What it writes to standard error is the
worker's log.

1. → {"protocol": 1, "weights": FOLDER, "device": …, "settings": {…}}
   ← {"engine": NAME, "version": …, "batch_invariant": true or false}
2. → {"prompt": …, "images": [[H, W], …]} and the pixels
   ← {"outputs": [{"text": …, "output_tokens": n, "truncated": false}, …]}

To either it may answer {"error": SENTENCE}.
"""

import os
import shlex
import struct
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ModelError
from panic_hpc.keys import canonical_json

PROTOCOL = 1
MAX_ANSWER_BYTES = 64 * 2**20
GRACE_S = 30.0
_LENGTH = struct.Struct("<I")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Greeting(_Answer):
    """What a program says of itself: whether an item's bits are free of its neighbours."""

    engine: str = Field(max_length=200)
    version: str = Field(max_length=200)
    batch_invariant: bool


class SidecarText(_Answer):
    """A text for one image."""

    text: str
    output_tokens: int = Field(ge=-1)
    truncated: bool


class _Outputs(_Answer):
    outputs: list[SidecarText]


A = TypeVar("A", bound=_Answer)


class Sidecar:
    """A program under way; it ends with this process, whose end closes its pipe."""

    def __init__(self, name: str, command: str) -> None:
        """Start `command`, words as a shell reads them; ModelError where it cannot be started."""
        self.name = name
        try:
            self._process = subprocess.Popen(
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"{name}: {command!r} cannot be started ({error})") from error
        # A model that is not kept any longer has nobody who closes it.
        self.close = weakref.finalize(self, end_program, self._process)

    def greet(self, weights: str, device: str, settings: Mapping[str, Any]) -> Greeting:
        """Tell the program what to load, and return what it says of itself."""
        told = {"protocol": PROTOCOL, "weights": weights, "device": device, "settings": settings}
        return self._asked(dict(told), (), Greeting)

    def tell(self, prompt: str, images: Sequence[NDArray[np.uint8]]) -> list[SidecarText]:
        """Return a text for each image; ModelError where the program fails or ends."""
        sizes = [list(image.shape[:2]) for image in images]
        found = self._asked({"prompt": prompt, "images": sizes}, images, _Outputs).outputs
        if len(found) != len(images):
            raise ModelError(f"{self.name}: {len(found)} texts came for {len(images)} images")
        return found

    def _asked(
        self, message: dict[str, Any], images: Sequence[NDArray[np.uint8]], kind: type[A]
    ) -> A:
        try:
            self._send(message, images)
            answer = parse_json(self._received())
            if isinstance(answer, dict) and "error" in answer:
                raise ModelError(f"{self.name}: its program says: {answer['error']}")
            return kind.model_validate(answer)
        except (OSError, EOFError) as error:
            raise ModelError(f"{self.name}: its program has ended{self._how()}") from error
        except (ValueError, ValidationError) as error:
            first = str(error).splitlines()[0]
            raise ModelError(f"{self.name}: its program answered nonsense ({first})") from error

    def _send(self, message: dict[str, Any], images: Sequence[NDArray[np.uint8]]) -> None:
        content = canonical_json(message).encode()
        stream = self._process.stdin
        assert stream is not None
        stream.write(_LENGTH.pack(len(content)) + content)
        for image in images:
            stream.write(np.ascontiguousarray(image).tobytes())
        stream.flush()

    def _received(self) -> bytes:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        # Before it is read: a program that prints to its standard output says "Warn" as a length.
        if length > MAX_ANSWER_BYTES:
            raise ValueError(f"an answer of {length} bytes")
        return self._read(length)

    def _read(self, count: int) -> bytes:
        stream = self._process.stdout
        assert stream is not None
        content = stream.read(count)
        if len(content) < count:
            raise EOFError
        return content

    def _how(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ""
        return f" (exit code {code})" if code >= 0 else f" (signal {-code})"


def end_program(process: "subprocess.Popen[bytes]") -> None:
    """Let a program end, which it does when its input is closed; kill one that does not."""
    for stream in filter(None, (process.stdin, process.stdout)):
        # What was not sent to a program that has ended is of no use to anybody.
        with suppress(OSError):
            stream.close()
    try:
        process.wait(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def command_for(engine: str) -> str:
    """Return the command that starts an engine here; ModelError where this machine names none."""
    variable = f"PANIC_HPC_SIDECAR_{engine.upper()}"
    command = os.environ.get(variable, "")
    if not command:
        raise ModelError(
            f"Nothing says how {engine} is started on this machine",
            hint=f"Set {variable} to its command, in a profile under [environment]",
        )
    return command
