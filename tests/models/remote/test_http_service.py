"""Models behind HTTP: every fault of a server, and that a key is in nothing that is written."""

import re
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_experiment import plan_little, run_command
from stub_server import KEY, NoWaiting, Stub, drawn, encoded, serving

import panic_hpc
from panic_hpc import clock
from panic_hpc.errors import ConfigError, ManifestError, ModelError, RemoteError
from panic_hpc.experiment.models_file import read_models
from panic_hpc.models.base import Turn
from panic_hpc.models.checks.trial import CheckRequest, check
from panic_hpc.models.families.http_service import HttpFamily, HttpModel
from panic_hpc.models.known.rows import split_row
from panic_hpc.models.remote.http_settings import HttpSettings
from panic_hpc.models.remote.judge import RemoteJudgeSettings
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.types import IMAGE, TEXT, ModelSpec
from panic_hpc.worker.worker import Worker, WorkerOptions
from panic_hpc.workspace.workspace import open_workspace

CONFIGS = Path(__file__).parents[3] / "configs" / "models"
VARIABLE = "PANIC_HPC_KEY_STUB"
BODY = {"prompt": "{text}", "seed": "{seed}", "options": {"size": 8}}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv(VARIABLE, KEY)
    found = Stub()
    with serving(found):
        yield found


@pytest.fixture
def waiting() -> Iterator[NoWaiting]:
    found = NoWaiting()
    with clock.replaced(found):
        yield found


def table(stub: Stub, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"{stub.url}/draw",
        "body": BODY,
        "answer": "data.*.b64",
        "key": VARIABLE,
        "headers": {"Authorization": "Bearer {key}"},
        "timeout_s": 30.0,
        **changes,
    }


def loaded(stub: Stub, batch_size: int = 1, **changes: Any) -> HttpModel:
    settings = table(stub, **changes)
    spec = ModelSpec("Far", "http", TEXT, IMAGE, "", "", "", batch_size, settings)
    model = HttpModel(spec)
    model.load("cpu")
    return model


def test_an_item_is_asked_with_its_own_text_and_seed(stub: Stub) -> None:
    model = loaded(stub, batch_size=4)
    texts, seeds = ["{seed} a", "b", "c", "a"], [1, 2**40, -3, 4]
    outputs = model.generate(texts, seeds)
    for output, text, seed in zip(outputs, texts, seeds, strict=True):
        assert np.array_equal(output.value, drawn(text, seed % 2**32))
    # Side by side, and what is not a place stays.
    assert {one["body"]["options"]["size"] for one in stub.requests} == {8}
    assert {one["headers"]["Authorization"] for one in stub.requests} == {f"Bearer {KEY}"}


def test_copies_that_fill_a_batch_are_asked_once(stub: Stub) -> None:
    turn = Turn(0, "", {})
    outputs = loaded(stub, batch_size=4).generate(["a"] * 4, [1] * 4, [turn] * 4)
    assert len(stub.requests) == 1
    assert all(np.array_equal(one.value, drawn("a", 1)) for one in outputs)


def test_as_many_are_under_way_as_a_batch_has(stub: Stub) -> None:
    # Nobody is answered before four have asked: with fewer under way none would ever be.
    stub.before_answer = threading.Barrier(4).wait
    loaded(stub, batch_size=4).generate(list("abcd"), [1, 2, 3, 4])
    assert stub.most_at_once == 4


PASSING = ["500", "503", "408", "hangs up", "half an answer", "asks to wait"]


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_tried_again(stub: Stub, waiting: NoWaiting, fault: str) -> None:
    stub.faults = [fault, fault]
    (output,) = loaded(stub).generate(["a"], [1])
    assert np.array_equal(output.value, drawn("a", 1))
    assert len(stub.requests) == 3
    if fault == "asks to wait":
        assert waiting.waited == [7.0, 7.0]
    else:
        assert 0.75 <= waiting.waited[0] <= 1.25
        assert 1.5 <= waiting.waited[1] <= 2.5


@pytest.mark.parametrize("fault", ["silent", "a byte at a time"])
def test_an_answer_that_does_not_come_in_time_is_none(
    stub: Stub, waiting: NoWaiting, fault: str
) -> None:
    stub.always = fault
    model = loaded(stub, timeout_s=0.2, attempts=2)
    with pytest.raises(RemoteError, match=r"no whole answer within 0\.2 s; asked 2 times"):
        model.generate(["a"], [1])


LASTING = {
    "502": "502",
    "a line with the key": r"\[key\]",
    "401": f"Is {VARIABLE} right",
    "404": "404",
    "leads elsewhere": r"a redirect to http://169\.254\.169\.254, which is not followed",
    "asks to wait for ever": "asks to wait 86400 s, more than timeout_s",
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_server_that_fails_is_said_to_and_no_item_is_blamed(
    stub: Stub, waiting: NoWaiting, fault: str
) -> None:
    stub.always = fault
    with pytest.raises(RemoteError, match=LASTING[fault]) as raised:
        loaded(stub, attempts=3).generate(["a"], [1])
    assert "Far" in str(raised.value)
    assert "panic-hpc retry" in raised.value.hint
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert len(stub.requests) == (3 if fault in ("502", "a line with the key") else 1)


REFUSED = {
    "400": r"refused: 400 .*no, Bearer \[key\]",
    "422": "refused: 422",
    "huge": "more than",
    "endless": "more than",
    "a page": "no JSON",
    "a GIF": "no PNG, JPEG, WebP or AVIF",
    "a broken picture": "no picture to take",
    "the key": "no base64",
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_picture_is_the_item_s_failure_and_never_tried_again(
    stub: Stub, fault: str
) -> None:
    stub.faults = [fault]
    first, second = loaded(stub).generate(["a"], [1]) + loaded(stub).generate(["b"], [1])
    assert re.search(REFUSED[fault], first.problem)
    assert KEY not in first.problem
    assert first.value is None
    assert np.array_equal(second.value, drawn("b", 1))


def test_a_text_with_the_key_in_it_is_not_taken(stub: Stub) -> None:
    stub.faults = ["the key"]
    (output,) = loaded(stub, produces="text").generate(["a"], [1])
    assert output.problem == "the answer has the key in it"


def test_pictures_go_over_and_an_answer_may_be_asked_for_later(stub: Stub) -> None:
    states = iter(["Pending", "Pending", "Ready"])

    def routes(handler: Any, path: str, body: dict[str, Any]) -> bool:
        if path == "/draw":
            handler.say({"id": "7/&"})
        elif path.startswith("/result"):
            sample = f"{stub.url}/picture"
            handler.say({"status": next(states), "result": {"sample": sample}})
        else:
            handler.give(encoded(drawn("far", 7)))
        return True

    stub.routes = routes
    poll = {
        "url": f"{stub.url}/result?id={{id}}",
        "state": "status",
        "ready": ("Ready",),
        "pending": ("Pending",),
        "every_s": 0.01,
    }
    body = {"of": "{image}", "mask": "{role:Mask}", "say": "{text}"}
    model = loaded(stub, body=body, poll=poll, answer="result.sample")
    picture, mask = drawn("x", 1), drawn("y", 2)
    (output,) = model.generate([picture], [1], [Turn(0, "red", {"Mask": mask})])
    assert np.array_equal(output.value, drawn("far", 7))
    assert stub.requests[1]["path"] == "/result?id=7%2F%26"
    assert stub.requests[0]["body"]["say"] == "red"
    # The key stays with what is asked: a picture's address is anybody's.
    assert "Authorization" not in stub.requests[-1]["headers"]


def test_a_picture_elsewhere_is_not_fetched(stub: Stub) -> None:
    def routes(handler: Any, path: str, body: dict[str, Any]) -> bool:
        handler.say({"url": "http://10.0.0.1/x.png"})
        return True

    stub.routes = routes
    (output,) = loaded(stub, answer="url").generate(["a"], [1])
    assert "http://10.0.0.1, which is not in hosts" in output.problem


BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"url": "file:///etc/passwd"}, "http:// or https:// and a host were expected"),
    ({"url": "https://me:pw@host/x"}, "an address has no user and password"),
    ({"url": "http://far.example/x"}, "a key goes over https:// only"),
    ({"key": "HOME"}, "key"),
    ({"headers": {"X-Api-Key": "abc"}}, "no secret is written into a file"),
    ({"headers": {}}, "one without the other"),
    ({"body": {"prompt": "same"}}, "every item would be asked alike"),
    ({"produces": "text", "answer": ""}, "the path of the text"),
    ({"values": {"prompt.x": 1}}, "make no JSON"),
]


@pytest.mark.parametrize(("changes", "told"), BAD_SETTINGS)
def test_bad_settings_are_told_at_plan(
    stub: Stub, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        plan_far(tmp_path / "E", stub, **changes)


def plan_far(root: Path, stub: Stub, more: dict[str, Any] | None = None, **changes: Any) -> Path:
    far = {"family": "http", **table(stub, **changes)}
    return plan_little(
        root,
        networks=[["Far", "DummyI2T"]],
        models={"Far": far, "DummyI2T": {}},
        embedding_models=[],
        max_length=4,
        **(more or {}),
    )


def work(root: Path) -> int:
    """Work on all that there is, as a worker does; return how many shards failed."""
    workspace = open_workspace(root)
    worker = Worker(workspace, WorkerOptions())
    outcomes = [
        outcome
        for stage in workspace.stages
        for outcome in worker.run(stage, range(len(workspace.shards(stage))))
    ]
    return outcomes.count("failed")


def holding_key(root: Path) -> list[Path]:
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) >= 6
    return [path for path in files if KEY.encode() in path.read_bytes()]


def test_an_experiment_is_recorded_and_the_key_is_nowhere(
    stub: Stub, waiting: NoWaiting, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = plan_far(tmp_path / "E", stub)
    # Run 1 is refused at its first step; the server fails at the second shard's.
    stub.faults = ["good", "400", "good", "401"]
    assert work(root) == 1
    (record,) = (root / "failed").glob("runs_*.json")
    for words in ("Far", f"Is {VARIABLE} right", "panic-hpc retry"):
        assert words in record.read_text()
    assert holding_key(root) == []
    assert work(root) == 0
    dataset = root / "dataset.h5"
    with panic_hpc.open(dataset) as found:
        runs = found.runs()
        reasons = found.file.array("failures/values").tobytes()
        # Under fixed noise this server repeats itself, and yet nothing is proved by it.
        assert set(runs["ended"]) == {"length", "failed"}
        assert set(runs["loop_start"]) == {-1}
        assert b"refused: 400" in reasons
    assert verify_file(dataset).findings == ()
    assert verify_file(dataset).not_repeatable == ("Far",)
    assert "Far is recorded, not repeatable" in run_command("verify", dataset)
    assert "Far: recorded, not repeatable" in run_command("status", root)
    assert holding_key(root) == []
    assert KEY not in "".join(capfd.readouterr())


def test_a_server_moves_without_another_plan(stub: Stub, tmp_path: Path) -> None:
    plan_far(tmp_path / "E", stub)
    plan_far(tmp_path / "E", stub, timeout_s=60.0, attempts=2)
    spec = open_workspace(tmp_path / "E").manifest.networks[0].models[0]
    assert spec.labels["timeout_s"] == 60.0
    with pytest.raises(ManifestError, match="another experiment"):
        plan_far(tmp_path / "E", stub, max_seed=1)


def test_outputs_that_cannot_be_made_again_are_all_kept(stub: Stub, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Far of .* may answer otherwise"):
        plan_far(tmp_path / "E", stub, {"images": {"keep_every": 2}})


def test_the_rows_that_come_along_make_sense() -> None:
    rows = read_models(CONFIGS, "services.toml")
    kinds: dict[str, Any] = {"http": HttpSettings, "judge_http": RemoteJudgeSettings}
    for name, row in rows.items():
        kind = kinds[row["family"]]
        _, told = split_row(row, kind.model_fields)
        settings = kind.model_validate(told, strict=True)
        assert bool(settings.key) == settings.url.startswith("https://"), name
    assert {row["family"] for row in rows.values()} == set(kinds)
    family = HttpFamily()
    fill = HttpSettings.model_validate(split_row(rows["FluxFill"], HttpSettings.model_fields)[1])
    assert family.modalities(fill) == (IMAGE, IMAGE)
    assert list(family.roles_read(fill).values()) == ["Mask"]
    assert family.reads_prompt(fill)


def test_without_its_key_a_model_is_not_loaded(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ModelError, match=f"{VARIABLE} is not set"):
        loaded(stub)
    monkeypatch.setenv(VARIABLE, f"{KEY}\n")
    with pytest.raises(ModelError) as raised:
        loaded(stub)
    assert KEY not in "".join(traceback.format_exception(raised.value))


def test_a_check_does_not_ask_a_server_to_repeat_itself(stub: Stub) -> None:
    outcomes = check(loaded(stub, batch_size=2).spec, CheckRequest("bits", "cpu"))
    assert [one.passed for one in outcomes if one.passed is False] == []
    assert "a server may answer otherwise" in outcomes[1].answer
