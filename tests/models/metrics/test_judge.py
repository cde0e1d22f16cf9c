"""The judge: what it takes for an answer, and on a tiny checkpoint that its chances are its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_checkpoints import Checkpoints, llava

from panic_hpc.models.base import Judged
from panic_hpc.models.families.judge import JudgeSettings
from panic_hpc.models.loading import load
from panic_hpc.models.rubrics.rubric import rubrics, values_in
from panic_hpc.types import IMAGE, SCORE, ModelSpec

KEYS = ("craft", "light")


def settings_from(**values: Any) -> JudgeSettings:
    return JudgeSettings.model_validate(values)


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ('{"craft": 0.25, "light": 1}', (0.25, 1.0)),
        ('Here you are:\n```json\n{"light": 0, "craft": 0.5, "why": "blurred"}\n```', (0.5, 0.0)),
        ('{"craft": 0.25}', None),
        ('{"craft": 0.25, "light": 1.5}', None),
        ('{"craft": 0.25, "light": "high"}', None),
        ('{"craft": true, "light": 1}', None),
        ('{"craft": NaN, "light": 1}', None),
        ('{"craft": 0.1, "craft": 0.9, "light": 1}', None),
        ('{"craft": 0.25, "light": 1', None),
        ("[0.25, 1]", None),
        ("", None),
    ],
)
def test_an_answer_is_what_was_asked_for_or_none(
    answer: str, values: tuple[float, ...] | None
) -> None:
    assert values_in(answer, KEYS) == values


def test_three_rubrics_come_along_and_are_whole() -> None:
    assert sorted(rubrics()) == ["errors", "similarity", "style"]
    for name in rubrics():
        settings = settings_from(rubric=name, against="prompt")
        assert settings.question
        # An example that a model may copy must be an answer that is taken.
        if settings.answer == "json":
            assert values_in(settings.question, settings.keys) is not None


def test_a_question_of_one_s_own_goes_before_the_rubric_s() -> None:
    settings = settings_from(rubric="similarity", question="Is this {text}?", against="prompt")
    assert (settings.question, settings.answer) == ("Is this {text}?", "yes")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "rubric, or a question, is missing"),
        ({"rubric": "taste"}, "rubric 'taste': there are errors, similarity, style"),
        ({"rubric": "similarity"}, 'the question has {text}: against = "prompt" or "input"'),
        ({"question": "Well?", "answer": "json"}, "keys of the JSON that is to be answered are"),
    ],
)
def test_a_rubric_that_is_not_whole_is_told(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings_from(**values)
    assert problem in str(caught.value)


def judge(checkpoints: Checkpoints, save: Callable[[Path], None], **settings: Any) -> Any:
    own = checkpoints.captioner(save)
    values = settings_from(**settings).model_dump(mode="json")
    del values["batch_size"]
    spec = ModelSpec("m", "judge", IMAGE, SCORE, "", own.revision, own.path, 2, values)
    return load(spec, "cpu")


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [rng.integers(0, 256, (16, 16, 3)).astype(np.uint8) for _ in range(2)]


@pytest.mark.compute
def test_the_chance_of_yes_is_that_of_the_model_s_own_forward(checkpoints: Checkpoints) -> None:
    import torch

    model = judge(checkpoints, llava, question="red {text}", answer="yes", against="prompt")
    items = [Judged(picture, text) for picture, text in zip(pictures(), ("moon", "a"), strict=True)]
    scores = model.score(items)
    for item, score in zip(items, scores, strict=True):
        features = model._features([item.output], f"red {item.against}")
        with torch.inference_mode():
            logits = model._model(**features).logits[0, -1].double()
        chances = torch.softmax(logits, dim=-1)
        own = [float(chances[model._words[word]].sum()) for word in ("Yes", "No")]
        assert score.values == pytest.approx(own, rel=1e-5)
        assert 0 < sum(score.values) < 1
    assert scores[0].values != scores[1].values
    assert model.score(items[::-1]) == scores[::-1]


@pytest.mark.compute
def test_malformed_answers_are_failed_items_with_what_was_said(checkpoints: Checkpoints) -> None:
    model = judge(checkpoints, llava, rubric="style", max_new_tokens=6)
    assert model.components == ("composition", "colour", "coherence")
    for score in model.score([Judged(picture) for picture in pictures()]):
        assert np.isnan(score.values).all()
        assert score.problem.startswith("a malformed answer: ")
