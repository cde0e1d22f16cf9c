"""Which of many things a check looks at: all, a share drawn by hash, or one of several parts."""

import hashlib
import re
from dataclasses import dataclass

from panic_hpc.errors import PanicError

_SCALE = 2**32


@dataclass(frozen=True, slots=True)
class Sample:
    """Item i is taken where its place in [0, 1), drawn by hash, lies in [low, high)."""

    low: float = 0.0
    high: float = 1.0

    def takes(self, purpose: str, item: int) -> bool:
        """Return whether the item with this number is looked at."""
        if (self.low, self.high) == (0.0, 1.0):
            return True
        digest = hashlib.sha256(f"{purpose} {item}".encode()).digest()
        place = int.from_bytes(digest[:4], "big") / _SCALE
        return self.low <= place < self.high


ALL = Sample()


def parse_sample(share: str, part: str) -> Sample:
    """Return what `5%` or `1/5` mean; PanicError where both are given or one is neither."""
    if share and part:
        raise PanicError("--sample and --part exclude each other")
    if share:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)%", share)
        if found and 0 < float(found[1]) <= 100:
            return Sample(0.0, float(found[1]) / 100)
        raise PanicError(f"--sample {share!r} is not a percentage", hint="For example --sample 5%")
    if part:
        found = re.fullmatch(r"(\d+)/(\d+)", part)
        if found and 1 <= int(found[1]) <= int(found[2]):
            return Sample((int(found[1]) - 1) / int(found[2]), int(found[1]) / int(found[2]))
        raise PanicError(f"--part {part!r} is not one of several", hint="For example --part 1/5")
    return ALL
