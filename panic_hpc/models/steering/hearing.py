"""Listening to a model: the mean activation of each item, by location, layer and pass."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.models.steering.locations import COND, Place
from panic_hpc.models.steering.taps import Moment, Taps, pooled


@dataclass
class Heard:
    """What was listened to in the latest call: pooled activations of the conditional half.

    `rows` maps (location, layer, pass) to (B, D) float32 on the CPU: the mean over the calls of a
    layer within a pass, of which most models make one.
    """

    places: tuple[Place, ...]
    rows: dict[tuple[str, int, int], NDArray[np.float32]] = field(default_factory=dict)

    @contextmanager
    def hearing(self, taps: Taps, n_items: int) -> Iterator[None]:
        """Listen to the call inside the block."""
        self.rows.clear()
        sums: dict[tuple[str, int, int], Any] = {}
        n_calls: Counter[tuple[str, int, int]] = Counter()

        def visit(place: Place, moment: Moment, hidden: Any) -> None:
            if rows := moment.halves.get(COND):
                key = (place.location, place.layer, moment.passed)
                one = pooled(hidden[rows])
                sums[key] = sums[key] + one if key in sums else one
                n_calls[key] += 1

        with taps.listening(self.places, n_items, visit):
            yield
        # Behind the call, so that nothing waits for the device between layers.
        self.rows |= {key: (of / n_calls[key]).cpu().numpy() for key, of in sums.items()}
