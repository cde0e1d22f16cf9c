"""Words of texts: variety that does not fall with length, prompts' words beside chance."""

import numpy as np
import pytest

from panic_hpc.analysis.estimators.texts.words import variety, words_left
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import words_of


def test_words_are_of_any_script() -> None:
    assert words_of("Ein Schäfer's well-lit dog — 3 кошки") == [
        "ein",
        "schäfer's",
        "well-lit",
        "dog",
        "3",
        "кошки",
    ]


def test_variety_does_not_fall_with_the_length_of_a_text() -> None:
    rng = np.random.default_rng(1)
    vocabulary = [f"w{n}" for n in range(200)]
    short, long = (" ".join(rng.choice(vocabulary, n)) for n in (400, 8000))
    assert variety([short]) == pytest.approx(variety([long]), abs=0.03)
    assert variety(["a b"] * 40) == pytest.approx(2 / 50)
    assert np.isnan(variety(["too few words"]))


def test_words_of_a_prompt_are_counted_beside_those_that_strangers_have_by_chance() -> None:
    prompts = ["a red fox"] * 2 + ["a green boat"] * 2
    texts = [["a red fox runs", "a boat"], ["the red fox"], ["a boat", "a boat"], ["a green boat"]]
    found = words_left(texts, prompts)
    assert found.own[0] == pytest.approx(((1 + 2 / 3) / 2 + (2 / 3 + 1) / 2) / 2)
    assert found.strangers[0] == pytest.approx((1 / 3 + 1 / 6) / 2)
    assert found.extra.shape == (2, 2)
    with pytest.raises(AnalysisError, match="no strangers"):
        words_left([["x"]], ["one"])
