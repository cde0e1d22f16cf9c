"""The figures of docs/models.md, on combinations of attributes that training never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from panic_hpc.models.scene import reader
from panic_hpc.models.scene.captions import attributes, terse, terse_attributes, understood, verbose
from panic_hpc.models.scene.drawing import paint
from panic_hpc.models.scene.scenes import Rows, sample

Images = NDArray[np.uint8]
Painter = Callable[[list[str], list[int]], Images]
Captioner = Callable[[Images], list[str]]
SEED = 9001


def fresh(n: int, *, held_out: bool = True) -> Rows:
    """Return n scenes for judging, from a stream that training does not draw on."""
    return sample(np.random.default_rng([SEED, n]), n, held_out=held_out)


def caption_accuracy(
    captioner: Captioner, wanted: list[frozenset[str]], images: Images
) -> tuple[float, float]:
    """Return the share of attributes right, and of captions that say all of them and no others."""
    said = [understood(caption) for caption in captioner(images)]
    hits = [len(s & w) / len(w) for s, w in zip(said, wanted, strict=True)]
    return float(np.mean(hits)), float(np.mean([s == w for s, w in zip(said, wanted, strict=True)]))


def picture_accuracy(painter: Painter, rows: Rows) -> dict[str, float]:
    """Return the shares of attributes that the scene reader finds right, prompted verbosely."""
    images = painter([verbose(row) for row in rows], list(range(len(rows))))
    return reader.right(rows, reader.read(images))


def terse_picture_accuracy(painter: Painter, rows: Rows) -> float:
    """Return the share of a terse prompt's attributes that one of the groups read has."""
    seen = reader.read(painter([terse(row) for row in rows], list(range(len(rows)))))
    return float(np.mean([best_match(want, see) for want, see in zip(rows, seen, strict=True)]))


def best_match(want: NDArray[np.int64], see: NDArray[np.int64]) -> float:
    """Return the share right of background, count, colour and shape, by the better group."""
    named = [0, 2, 3]
    groups = [group for group in (see[2:6], see[6:10]) if group[0] >= 0]
    hits = max(int((group[named] == want[2:6][named]).sum()) for group in groups)
    return (hits + int(see[0] == want[0])) / 4


def shared(said: list[frozenset[str]], others: list[frozenset[str]]) -> NDArray[np.float64]:
    """Return |A and B| / sqrt(|A| |B|) for every pair (N, M)."""
    return np.array([[len(a & b) / np.sqrt(len(a) * len(b)) for b in others] for a in said])


def rank_correlation(
    left: NDArray[np.float32], right: NDArray[np.float32], said: list[frozenset[str]]
) -> float:
    """Return Spearman's coefficient of cosine with shared attributes over all pairs of scenes."""
    pairs = np.triu_indices(len(said), k=1)
    cosine = (left @ right.T)[pairs]
    return float(spearmanr(cosine, shared(said, said)[pairs]).statistic)


@dataclass(frozen=True)
class Walk:
    """A run: the captions in order, and the first repeat where the noise is fixed."""

    captions: list[str]
    start: int = -1
    length: int = -1


def first_repeat(states: list[bytes]) -> tuple[int, int]:
    """Return where the first repeated state first stood and how long its cycle is, or (-1, -1)."""
    seen: dict[bytes, int] = {}
    for i, state in enumerate(states):
        if state in seen:
            return seen[state], i - seen[state]
        seen[state] = i
    return -1, -1


def walks(
    painter: Painter, captioner: Captioner, prompts: list[str], rounds: int, *, fixed: bool
) -> list[Walk]:
    """Return a run per prompt: ``rounds`` pictures and as many captions, in steps of two.

    The seed is the run's own, the same in every round where ``fixed``, else another in each.
    """
    texts, said, states = prompts, [[] for _ in prompts], [[] for _ in prompts]  # type: ignore[var-annotated]
    for step in range(rounds):
        seeds = [100 + n if fixed else 1_000_003 * (step + 1) + n for n in range(len(prompts))]
        images = painter(texts, seeds)
        texts = captioner(images)
        for n, (image, text) in enumerate(zip(images, texts, strict=True)):
            said[n].append(text)
            states[n].append(image.tobytes())
    repeats = [first_repeat(s) if fixed else (-1, -1) for s in states]
    return [
        Walk(c, 2 * start, 2 * length) for c, (start, length) in zip(said, repeats, strict=True)
    ]


def distinct(runs: list[Walk]) -> float:
    """Return the median number of distinct captions of a run."""
    return float(median(len(set(run.captions)) for run in runs))


def sentences(rows: Rows) -> tuple[list[str], list[frozenset[str]]]:
    """Return verbose and terse captions in turn and the attributes that each mentions."""
    texts = [terse(row) if n % 2 else verbose(row) for n, row in enumerate(rows)]
    return texts, [
        terse_attributes(row) if n % 2 else attributes(row) for n, row in enumerate(rows)
    ]


def pictures(rows: Rows) -> Images:
    """Return the true pictures of scenes."""
    return paint(rows)
