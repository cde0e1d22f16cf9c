"""Counts of words on texts whose counts are known."""

from typing import Any

import numpy as np
import pytest

from panic_hpc.models.base import Judged, Score
from panic_hpc.models.families.words import WordFamily
from panic_hpc.plain_text import words_of
from panic_hpc.types import SCORE, TEXT, ModelSpec


def judged(
    text: str, against: str | None = None, **settings: Any
) -> tuple[dict[str, float], Score]:
    settings = {"against": "none" if against is None else "prompt", **settings}
    model = WordFamily().build(ModelSpec("m", "words", TEXT, SCORE, "", "", "", 1, settings))
    (score,) = model.score([Judged(text, against)])
    return dict(zip(model.components, score.values, strict=True)), score


def test_words_are_counted_and_repeats_told() -> None:
    found, score = judged("The boat, the sea: the END.")
    assert found == {"words": 6, "characters": 27, "distinct": pytest.approx(4 / 6)}
    assert score.problem == ""


def test_listed_words_are_a_share_of_all() -> None:
    found, _ = judged("a red boat and a Red sea", listed=["RED", "blue"])
    assert found["listed"] == pytest.approx(2 / 7)


def test_what_is_kept_of_another_text_is_a_share_of_its_words() -> None:
    found, _ = judged("a boat on the sea", "a red boat, a blue boat")
    assert found["kept"] == pytest.approx(2 / 4)


def test_a_text_without_words_has_counts_but_no_shares() -> None:
    found, score = judged(" … ", "a boat", listed=["x"])
    assert (found["words"], found["characters"], found["kept"]) == (0, 3, 0)
    assert np.isnan([found["distinct"], found["listed"]]).all()
    assert score.problem == "a text without words"


def test_a_word_may_hold_apostrophes_and_hyphens() -> None:
    assert words_of("Don't paint 2nd-rate «Schönheit», 犬!") == [
        "don't", "paint", "2nd-rate", "schönheit", "犬",
    ]  # fmt: skip
