"""The judge that knows the truth: it reads the scenes of the built-in world, and has no weights.

It knows how scenes are drawn and described, and nothing of the models that draw and describe them.
Every picture is read as some scene, so that a smear counts as a wrong one.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from panic_hpc.models.base import Judged, Score
from panic_hpc.models.metric_settings import INPUT, NOTHING, MetricSettings
from panic_hpc.models.settings import settings_of
from panic_hpc.types import IMAGE, SCORE, TEXT, Modality, ModelEntry, ModelSpec

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle", "cross")


class SceneSettings(MetricSettings):
    """What pictures are judged against: a text, or nothing."""


class SceneReader:
    """Counts the things in a picture by colour and by shape, and what a text says rightly of it.

    `right` is the share of what the text says (background, places; count, size, colour and shape of
    each group) that the picture shows.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._has_text = settings_of(spec, SceneSettings).against != NOTHING
        self.components = (*(("right",) if self._has_text else ()), *COLOURS, *SHAPES)

    def load(self, device: str) -> None:
        """Nothing to load."""

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return what is right, and how many things there are."""
        return [self._score(item) for item in items]

    def _score(self, item: Judged) -> Score:
        from panic_hpc.models.scene.drawing import SIDE
        from panic_hpc.models.scene.reader import read

        if item.output.shape != (SIDE, SIDE, 3):
            height, width = item.output.shape[:2]
            problem = f"a picture of {width} x {height}; scenes are {SIDE} x {SIDE}"
            return Score((float("nan"),) * len(self.components), problem=problem)
        (row,) = read(item.output[None])
        counts = _counts(row)
        if not self._has_text:
            return Score(counts)
        right = share_right(item.against, row)
        problem = "" if right is not None else "the text says nothing of a scene"
        return Score((float("nan") if right is None else right, *counts), problem=problem)


def share_right(text: str, row: Any) -> float | None:
    """Return the share of what a text says that is so in the scene of a row; None of nothing."""
    from panic_hpc.models.scene.captions import attributes, understood

    said = understood(text)
    return len(said & attributes(row)) / len(said) if said else None


def _counts(row: Any) -> tuple[float, ...]:
    """Return the number of things of each colour, then of each shape."""
    from panic_hpc.models.scene.scenes import groups_of

    counts = dict.fromkeys((*COLOURS, *SHAPES), 0.0)
    for _, (count, _, colour, shape) in groups_of(row):
        counts[COLOURS[colour]] += count + 1
        counts[SHAPES[shape]] += count + 1
    return tuple(counts.values())


class SceneFamily:
    """The family of the one reader."""

    name = "scene"
    settings = SceneSettings
    entries = (
        ModelEntry(
            "SceneReader", IMAGE, SCORE, defaults={"against": INPUT}, seconds=0.001,
            timing="on one CPU core", note="reads pictures of the built-in models",
        ),
    )  # fmt: skip

    def build(self, spec: ModelSpec) -> SceneReader:
        """Return the reader."""
        return SceneReader(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and score."""
        return IMAGE, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return text, or nothing."""
        return "" if settings.model_dump()["against"] == NOTHING else TEXT


PLUGINS = (SceneFamily(),)
