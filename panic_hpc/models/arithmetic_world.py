"""The little world of the arithmetic stand-ins: its texts, its pictures, how it moves.

A *subject* (the prompt's, kept: the centre of a trajectory), a *phase* that walks round a ring
(slow drift, its stride set by the seed) and a *detail* (small noise). Pictures show all three and
captions spell them out, so a loop under fixed noise is a deterministic map on a small ring and
cycles, and under per-step noise it wanders.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RING = 12
SUBJECTS = ("fox", "lamp", "boat", "hill", "bird", "tree", "cup", "moon")
PHASES = (
    *("at dawn", "after dawn", "before noon", "at noon", "past noon", "in the afternoon"),
    *("before dusk", "at dusk", "after dusk", "before midnight", "at midnight", "before dawn"),
)
DETAILS = ("bright", "dim", "soft", "sharp", "calm", "wild", "plain", "odd")


@dataclass(frozen=True, slots=True)
class State:
    """The world at one step: indices into SUBJECTS, PHASES and DETAILS."""

    subject: int
    phase: int
    detail: int


def _hash(*parts: object) -> int:
    # hash() is salted anew in each process.
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _find(words: Sequence[str], text: str) -> int:
    return next((index for index, word in enumerate(words) if word in text), -1)


def read_text(text: str) -> State:
    """Return the state a text tells of; what it leaves out follows from its hash."""
    number = _hash("text", text)
    guesses = (number % len(SUBJECTS), number // 8 % RING, number // 97 % len(DETAILS))
    found = [_find(words, text) for words in (SUBJECTS, PHASES, DETAILS)]
    return State(
        *(word if word >= 0 else guess for word, guess in zip(found, guesses, strict=True))
    )


def write_text(state: State, variant: int) -> str:
    """Return the caption of a state, in one of two styles."""
    subject, phase = SUBJECTS[state.subject], PHASES[state.phase]
    detail = DETAILS[state.detail]
    if variant == 1:
        return f"a {detail} {subject} {phase}"
    return f"there is a {subject}, and it looks {detail}; the time is {phase}"


def move(state: State, seed: int, variant: int) -> State:
    """Return the next state: the subject kept, the phase a stride on, the detail drawn anew.

    Strides 1 to 3 under one seed give rings of 12, 6 and 4 phases; what is left of the last
    detail makes a run go round once or twice before it repeats.
    """
    stride = 1 + _hash("stride", seed, variant) % 3
    phase = (state.phase + stride) % RING
    draw = _hash("detail", seed, phase, state.detail % 2, variant)
    return State(state.subject, phase, draw % len(DETAILS))


def _centres(size: int) -> np.ndarray:
    """Return the (RING, 2) int rows and columns of the places on the ring."""
    angles = 2 * np.pi * np.arange(RING) / RING
    turns = np.stack([-np.cos(angles), np.sin(angles)], axis=1)
    places: np.ndarray = np.rint((size - 1) / 2 + turns * (size / 2 - 2)).astype(int)
    return places


def _palette() -> np.ndarray:
    """Return the (subjects, 3) int colours of backgrounds, none of them bright."""
    bits = (np.arange(len(SUBJECTS))[:, None] >> np.arange(3)) & 1
    return np.asarray(40 + 80 * bits)


def draw_picture(state: State, seed: int, size: int) -> np.ndarray:
    """Return the (size, size, 3) uint8 picture: ground, grain, a bright dot and a corner mark."""
    # NumPy keeps the streams of default_rng's bit generator between versions, those of its methods
    # only mostly; NumPy's version is in the numerics class.
    grain = np.random.default_rng([seed, state.subject, state.phase]).integers(
        -6, 7, size=(size, size, 3)
    )
    pixels: np.ndarray = _palette()[state.subject] + grain
    row, column = _centres(size)[state.phase]
    pixels[row - 1 : row + 2, column - 1 : column + 2] = 250
    pixels[0, 0] = 16 + 32 * state.detail
    return np.asarray(pixels, dtype=np.uint8)


def look(pixels: np.ndarray) -> State:
    """Return the state a picture shows, whatever picture it is."""
    values = pixels.astype(int)
    ground = np.median(values.reshape(-1, 3), axis=0)
    subject = np.abs(_palette() - ground).sum(axis=1).argmin()
    centres = _centres(min(pixels.shape[:2]))
    phase = np.array([values[row, column].sum() for row, column in centres]).argmax()
    return State(int(subject), int(phase), int(values[0, 0, 0] // 32))


def vector(state: State, dimension: int, variant: int) -> np.ndarray:
    """Return centre + drift + noise as a (dimension,) float32 vector."""
    centre = np.random.default_rng([variant, 0, state.subject]).normal(size=dimension)
    # Noise as a function of the state: a loop of outputs is a loop of vectors too.
    noise = np.random.default_rng([variant, 1, *_digits(state)]).normal(size=dimension)
    angle = 2 * np.pi * state.phase / RING
    drift = np.zeros(dimension)
    drift[0], drift[1] = np.cos(angle), np.sin(angle)
    # Structure on purpose: persistence of structureless points on a sphere explodes (92 s for 150
    # points of 768 dimensions with giotto-ph on two threads).
    return np.asarray(centre + 0.5 * drift + 0.02 * noise, dtype=np.float32)


def _digits(state: State) -> tuple[int, int, int]:
    return state.subject, state.phase, state.detail
