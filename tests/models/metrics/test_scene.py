"""The reader of scenes as a judge: on pictures that are drawn, not generated, it knows all."""

from typing import Any

import numpy as np
import pytest

from panic_hpc.models.base import Judged, Score
from panic_hpc.models.families.scene import COLOURS, SHAPES, SceneFamily
from panic_hpc.models.scene import scenes
from panic_hpc.models.scene.captions import terse, verbose
from panic_hpc.models.scene.drawing import paint
from panic_hpc.types import IMAGE, SCORE, ModelSpec

# Two small blue squares at the left, three large red circles at the right, on black.
ROW = np.array([[2, 5, 1, 0, 4, 1, 2, 1, 0, 0]])


def judged(picture: np.ndarray, text: str | None) -> tuple[dict[str, float], Score]:
    settings: dict[str, Any] = {"against": "none" if text is None else "prompt"}
    model = SceneFamily().build(ModelSpec("m", "scene", IMAGE, SCORE, "", "", "", 1, settings))
    (score,) = model.score([Judged(picture, text)])
    return dict(zip(model.components, score.values, strict=True)), score


def test_its_words_are_those_of_the_world() -> None:
    assert (COLOURS, SHAPES) == (scenes.COLOURS, scenes.SHAPES)


@pytest.mark.parametrize("say", [verbose, terse])
def test_what_was_drawn_is_all_right(say: Any) -> None:
    for row in scenes.sample(np.random.default_rng(3), 20):
        found, score = judged(paint(row[None])[0], say(row))
        assert found["right"] == 1.0
        assert score.problem == ""


def test_one_wrong_word_is_one_wrong_fact() -> None:
    text = verbose(ROW[0])
    assert text.count("blue") == 1
    found, _ = judged(paint(ROW)[0], text.replace("blue", "green"))
    # Background, layout, and four facts of each of two groups.
    assert found["right"] == pytest.approx(9 / 10)


def test_things_are_counted_by_colour_and_shape() -> None:
    found, _ = judged(paint(ROW)[0], None)
    assert "right" not in found
    assert {name: n for name, n in found.items() if n} == {
        "blue": 2, "red": 3, "square": 2, "circle": 3,
    }  # fmt: skip


def test_a_text_of_something_else_leaves_the_counts() -> None:
    found, score = judged(paint(ROW)[0], "an etching")
    assert np.isnan(found["right"])
    assert found["red"] == 3
    assert score.problem == "the text says nothing of a scene"


def test_a_picture_of_another_size_is_told() -> None:
    found, score = judged(np.zeros((64, 48, 3), np.uint8), "one red circle on white")
    assert score.problem == "a picture of 48 x 64; scenes are 32 x 32"
    assert np.isnan(list(found.values())).all()
