"""A judge behind HTTP, against a stub of a chat service: what it says is taken, or told."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_experiment import run_command
from pydantic import ValidationError
from stub_server import KEY, Handler, NoWaiting, Stub, serving

import panic_hpc
from panic_hpc import clock
from panic_hpc.errors import RemoteError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import loading
from panic_hpc.models.base import Judged
from panic_hpc.models.remote.judge import RemoteJudgeSettings
from panic_hpc.paths import ExperimentPaths
from panic_hpc.pictures.given import given_pixels
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import make_plan
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.types import IMAGE, SCORE, ModelSpec
from panic_hpc.worker.worker import Worker, WorkerOptions
from panic_hpc.workspace.workspace import open_workspace

VARIABLE = "PANIC_HPC_KEY_JUDGE"


class Chat:
    """What the stub says: of each picture how red it is, in the words that were asked for."""

    def __init__(self) -> None:
        self.words = ""
        self.in_turn: list[str] = []
        self.seen: list[tuple[str, np.ndarray]] = []

    def routes(self, handler: Handler, path: str, body: dict[str, Any]) -> bool:
        text, image = body["messages"][0]["content"]
        coded = image["image_url"]["url"].removeprefix("data:image/png;base64,")
        pixels = given_pixels(base64.b64decode(coded))
        self.seen.append((text["text"], pixels))
        redness = round(float(pixels[..., 0].mean() / 255), 3)
        words = self.words or json.dumps(dict.fromkeys(("craft", "light"), redness))
        words = self.in_turn.pop(0) if self.in_turn else words
        handler.say({"choices": [{"message": {"role": "assistant", "content": words}}]})
        return True


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def stub(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv(VARIABLE, KEY)
    found = Stub(routes=chat.routes)
    with serving(found), clock.replaced(NoWaiting()):
        yield found


def table(stub: Stub, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"{stub.url}/v1/chat/completions",
        "key": VARIABLE,
        "headers": {"Authorization": "Bearer {key}"},
        "values": {"model": "seer-1"},
        "question": "How well is this made? {text}",
        "answer": "json",
        "keys": ["craft", "light"],
        "against": "prompt",
        **changes,
    }


def judge(stub: Stub, batch_size: int = 1, **changes: Any) -> Any:
    settings = RemoteJudgeSettings.model_validate(table(stub, **changes))
    told = settings.model_dump(mode="json", exclude={"batch_size"})
    spec = ModelSpec("Asked", "judge_http", IMAGE, SCORE, "", "", "", batch_size, told)
    return loading.load(spec, "cpu")


def red(level: int) -> np.ndarray:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0] = level
    return picture


def test_each_picture_is_asked_about_with_its_own_text(stub: Stub, chat: Chat) -> None:
    model = judge(stub, batch_size=3)
    filled = Judged(red(51), "a fox")
    scores = model.score([filled, Judged(red(255), "a cat"), filled])
    assert [score.values for score in scores] == [(0.2, 0.2), (1.0, 1.0), (0.2, 0.2)]
    # The copy that fills the batch is not paid for.
    assert sorted((text, int(pixels[0, 0, 0])) for text, pixels in chat.seen) == [
        ("How well is this made? a cat", 255),
        ("How well is this made? a fox", 51),
    ]
    assert {one["body"]["model"] for one in stub.requests} == {"seer-1"}
    assert {one["headers"]["Authorization"] for one in stub.requests} == {f"Bearer {KEY}"}
    assert model.components == ("craft", "light")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("Yes, it does.", (1.0, 0.0)),
        ("**No**", (0.0, 1.0)),
        ("yes", (1.0, 0.0)),
        ("Yesterday", None),
        ("It does. Yes", None),
        ("I cannot help with that.", None),
    ],
)
def test_yes_and_no_are_the_first_word_or_nothing(
    stub: Stub, chat: Chat, words: str, values: tuple[float, float] | None
) -> None:
    chat.words = words
    (score,) = judge(stub, rubric="similarity", answer="yes", question="{text}?").score(
        [Judged(red(1), "a fox")]
    )
    if values is None:
        assert np.isnan(score.values).all()
        assert score.problem == f"a malformed answer: {words!r}"
    else:
        assert (score.values, score.problem) == (values, "")


def test_of_several_answers_those_that_are_ones_are_averaged_and_counted(
    stub: Stub, chat: Chat
) -> None:
    model = judge(stub, batch_size=2, rubric="similarity", answer="yes", samples=4)
    assert model.components == ("yes", "no", "answers")
    item = Judged(red(1), "a fox")
    chat.in_turn = ["Yes", "Perhaps", "No.", "yes"]
    for score in model.score([item, item]):
        assert score.values == (pytest.approx(2 / 3), pytest.approx(1 / 3), 3.0)
        assert score.problem == ""
    assert len(stub.requests) == 4
    chat.in_turn = ["Perhaps", "Well", "Hm", "So so"]
    (score, _) = model.score([item, item])
    assert np.isnan(score.values).all()
    assert len(score.values) == 3
    assert score.problem == "a malformed answer: 'Perhaps'"


def test_what_may_pass_is_asked_again_and_no_more_than_it_says(stub: Stub) -> None:
    stub.faults = ["503", "hangs up", "asks to wait"]
    (score,) = judge(stub).score([Judged(red(255), "a fox")])
    assert score.values == (1.0, 1.0)
    assert len(stub.requests) == 4
    stub.always = "500"
    with pytest.raises(RemoteError, match="asked 2 times") as raised:
        judge(stub, attempts=2).score([Judged(red(255), "a fox")])
    assert KEY not in str(raised.value)
    assert len(stub.requests) == 6


@pytest.mark.parametrize(
    ("fault", "told"),
    [("400", "refused: 400"), ("a page", "the answer is no JSON"), ("the key", "has no choices")],
)
def test_what_is_no_answer_is_the_item_s_failure(stub: Stub, fault: str, told: str) -> None:
    stub.faults = [fault]
    (score,) = judge(stub).score([Judged(red(255), "a fox")])
    assert np.isnan(score.values).all()
    assert told in score.problem
    assert KEY not in score.problem


def test_an_answer_with_the_key_in_it_is_not_kept(stub: Stub, chat: Chat) -> None:
    chat.words = f"Yes {KEY}"
    (score,) = judge(stub).score([Judged(red(255), "a fox")])
    assert score.problem == "the answer has the key in it"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"question": ""}, "rubric, or a question, is missing"),
        ({"rubric": "taste"}, "there are errors, similarity, style"),
        ({"body": {"prompt": "{text}"}}, "{text}, the question, and {image} were expected"),
        ({"url": "ftp://x"}, "url: http:// or https:// and a host were expected"),
        ({"url": "http://far.example/"}, "a key goes over https:// only"),
        ({"headers": {"Authorization": "Bearer abc"}}, "no secret is written into a file"),
        ({"key": "HOME"}, "String should match pattern"),
    ],
)
def test_bad_settings_are_told(stub: Stub, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        RemoteJudgeSettings.model_validate(table(stub, **changes))
    assert told in str(raised.value)


def test_an_experiment_is_judged_malformed_answers_counted_and_the_key_nowhere(
    stub: Stub, chat: Chat, tmp_path: Path
) -> None:
    told = {
        "prompts": ["a red circle", "two blue squares"],
        "seeds": [1],
        "networks": [["Drawn"]],
        "max_length": 1,
        "images": {"keep_every": 1},
        "models": {
            "Drawn": {"base": "DummyT2I", "size": [16, 24]},
            "Asked": {"family": "judge_http", **table(stub)},
        },
        "stages": {"metrics": {"models": ["Asked"]}},
    }
    plan = make_plan(Experiment.model_validate(told), catalogue.load())
    manifest.write(plan, ExperimentPaths(tmp_path / "E"))
    workspace = open_workspace(tmp_path / "E")
    worker = Worker(workspace, WorkerOptions())
    assert list(worker.run("runs", [0, 1])) == ["completed"] * 2
    stub.faults = ["good", "a page"]
    assert list(worker.run("metrics", [0, 1])) == ["completed"] * 2
    assert list(worker.run("merge", [0])) == ["completed"]
    dataset = tmp_path / "E" / "dataset.h5"
    with panic_hpc.open(dataset) as opened:
        scores = opened.scores("Asked")
        assert scores["craft"].is_nan().to_list() == [False, True, False, False]
    said = run_command("compare", dataset, "--measure", "Asked.craft:mean")
    assert re.search(r"1 .*fail", said), said
    assert verify_file(dataset).not_repeatable == ("Asked",)
    assert "Asked: recorded, not repeatable" in run_command("status", tmp_path / "E")
    files = [path for path in (tmp_path / "E").rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
