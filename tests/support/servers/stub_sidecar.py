"""A program that speaks the sidecar's protocol with the standard library alone: `… [HOW]`.

Captions are an image's mean and size. HOW makes it misbehave in one way.
"""

import json
import os
import struct
import sys
from typing import Any


def received() -> tuple[dict[str, Any], list[bytes]]:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        raise SystemExit(0)
    message = json.loads(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
    sizes = message.get("images", [])
    return message, [sys.stdin.buffer.read(height * width * 3) for height, width in sizes]


def send(value: Any) -> None:
    content = json.dumps(value).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(content)) + content)
    sys.stdout.buffer.flush()


def caption(prompt: str, size: list[int], pixels: bytes) -> dict[str, Any]:
    text = f"{prompt} {sum(pixels) // len(pixels)} of {size[0]} by {size[1]}"
    return {"text": text, "output_tokens": len(text.split()), "truncated": False}


def main(how: str) -> None:
    hello, _ = received()
    if how == "prints":
        print("Warning: something", flush=True)
    if how == "no-weights" or not os.path.isdir(hello["weights"]):
        send({"error": "the weights are of another kind"})
        return
    version = "9.9" if how == "other-version" else "1.0"
    send({"engine": "stub", "version": version, "batch_invariant": how != "mixes"})
    while True:
        message, images = received()
        if how == "dies":
            os._exit(7)
        outputs = [
            caption(message["prompt"], size, pixels)
            for size, pixels in zip(message["images"], images, strict=True)
        ]
        send({"outputs": outputs[:-1] if how == "forgets" else outputs})


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
