"""Identity: canonical JSON, content keys, and the seeds that follow from them."""

import hashlib
import json
from collections.abc import Sequence

KEY_HEX = 32

# json.dumps would build an encoder for every key of a million runs.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, UTF-8 left as it is, no NaN.

    Raises ValueError for NaN and infinities, TypeError for what JSON cannot hold.
    """
    return _ENCODER.encode(value)


def content_key(value: object) -> str:
    """Return the key of a JSON value: 128 bits of the SHA-256 of its canonical text, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_HEX]


def run_key(
    network_key: str,
    prompt: str,
    seed: int,
    noise: str,
    pictures: Sequence[tuple[str, str]] = (),
) -> str:
    """Return a run's key from its network's key (models, length, loop stop, codec) and its own.

    `pictures` are the (role, digest) of those that belong to the prompt.
    """
    # Without pictures as before there were any, so that keys stay.
    asked = [prompt, dict(pictures)] if pictures else prompt
    return content_key([network_key, asked, seed, noise])


def step_seed(run_seed: int, step: int) -> int:
    """Return the seed of `step` under per-step noise, in [0, 2**32).

    The prompt has no part in it: two prompts under one seed meet the same noise, so that their
    trajectories can be compared (common random numbers).
    """
    return hash_seed("step", run_seed, step)


def hash_seed(purpose: str, *parts: int) -> int:
    """Return a seed in [0, 2**32) drawn by hashing `purpose`, an ASCII name, and `parts`."""
    # What canonical_json gives of them as a list, in a quarter of the time: a million seeds of runs
    # are drawn whenever their plan is read.
    text = ",".join((f'["{purpose}"', *map(str, parts)))
    return int.from_bytes(hashlib.sha256(f"{text}]".encode()).digest()[:4], "big")
