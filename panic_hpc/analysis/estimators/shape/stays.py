"""Stays in clusters: how long states that follow each other have one label, and what lies between.

Labels are those of states in order of time, run after run; -1 is a state in no cluster.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

KINDS = ("start", "excursion", "transit", "end", "whole")
"""Stretches in no cluster, by what lies around: nothing before; one cluster before and behind; two
of them; nothing behind; nothing at all."""


@dataclass(frozen=True, slots=True)
class Stays:
    """Stretches of states of one run with one label, in order: arrays with an entry a stay.

    runs      (n,) int64, as given
    labels    (n,) int64
    lengths   (n,) int64, states
    was_left  (n,) bool, whether the run went on elsewhere; else it ended there
    """

    runs: Rows
    labels: Rows
    lengths: Rows
    was_left: NDArray[np.bool_]

    def kinds(self) -> NDArray[np.str_]:
        """Return (n,) which of KINDS each stay in no cluster is, "" for those in one."""
        same = self.runs[1:] == self.runs[:-1]
        has_before, has_behind = np.append(False, same), np.append(same, False)
        before, behind = np.roll(self.labels, 1), np.roll(self.labels, -1)
        return np.select(
            [
                self.labels >= 0,
                ~has_before & ~has_behind,
                ~has_before,
                ~has_behind,
                before == behind,
            ],
            ["", "whole", "start", "end", "excursion"],
            "transit",
        )


def stays(labels: Rows, runs: Rows) -> Stays:
    """Return the stays of labels (n,) of states, run after run in order of time."""
    if len(labels) == 0:
        return Stays(runs, labels, labels, np.zeros(0, bool))
    is_new = np.append(True, (labels[1:] != labels[:-1]) | (runs[1:] != runs[:-1]))
    starts = np.flatnonzero(is_new)
    own = runs[starts]
    was_left = np.append(own[1:] == own[:-1], False)
    return Stays(own, labels[starts], np.diff(starts, append=len(labels)), was_left)


def in_any_order(labels: Rows, runs: Rows, rng: np.random.Generator) -> Rows:
    """Return the labels of each run's states in an order drawn at random: how stays look without.

    Runs are grouped, as everywhere here.
    """
    order = np.lexsort((rng.random(len(labels), dtype=np.float32), runs))
    # Grouped but not sorted runs: what is sorted goes back to where its run is.
    places = np.argsort(runs, kind="stable")
    drawn = np.empty_like(labels)
    drawn[places] = labels[order]
    return drawn
