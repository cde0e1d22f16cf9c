"""`models check`: it finds what it is for, and plan and submit read what it found."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugins import plugin_file

from panic_hpc import cli
from panic_hpc.errors import ModelError
from panic_hpc.models import loading
from panic_hpc.models.checks import records
from panic_hpc.models.checks.trial import Checked, CheckRequest, Depth, check
from panic_hpc.planning.locking import model_by_name
from panic_hpc.types import ModelSpec

# Stand-ins with one fault each, as real models have had it: weights that a checkpoint lacks are
# drawn when it is loaded; a mask depends on the longest text of a batch; one generator draws for
# all items.
FAULTY = """
import numpy as np
from pydantic import BaseModel, ConfigDict
from panic_hpc.models.base import Output

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 3
    fault: str
    steps: int = 1
    guidance: float = 1.0

class Model:
    def __init__(self, spec):
        self.spec, self.fault, self.calls = spec, spec.settings["fault"], 0

    def load(self, device):
        import torch
        if self.fault == "broken":
            raise RuntimeError("Cannot copy out of meta tensor")
        self.drawn = torch.rand(1).item() if self.fault == "forgetful" else 0.0

    def generate(self, inputs, seeds):
        self.calls += 1
        if self.fault == "small" and len(inputs) > 4:
            raise RuntimeError("out of memory")
        longest = max(map(len, inputs)) if self.fault == "coupled" else 0
        shared = sum(seeds) if self.fault == "one generator" else 0
        moody = self.calls if self.fault == "moody" else 0
        steps = self.spec.settings["steps"]
        rest = (longest, shared, moody, self.drawn, steps)
        greys = [hash_of(text, seed, *rest) for text, seed in zip(inputs, seeds)]
        return [Output(np.full((8, 8, 3), grey, np.uint8)) for grey in greys]

def hash_of(*parts):
    import hashlib
    return hashlib.sha256(repr(parts).encode()).digest()[0]

class Faulty:
    name = "faulty"
    settings = Settings
    entries = ()
    def build(self, spec):
        return Model(spec)
    def modalities(self, settings):
        return "text", "image"

PLUGINS = (Faulty(),)
"""


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[None]:
    with plugin_file("panic_hpc.models.families", tmp_path / "plugins", "faulty", FAULTY):
        yield


def spec(fault: str, batch_size: int = 3, **settings: object) -> ModelSpec:
    values = {"fault": fault, "steps": 1, "guidance": 1.0, **settings}
    return ModelSpec("Painter", "faulty", "text", "image", "", "", "", batch_size, values)


@pytest.mark.compute
@pytest.mark.parametrize(
    ("fault", "question"),
    [
        ("none", ""),
        ("broken", "two loads give the same"),
        ("forgetful", "two loads give the same"),
        ("moody", "a call repeats itself"),
        ("coupled", "other neighbours change nothing"),
        ("one generator", "a seed is its item's own"),
    ],
)
def test_each_fault_fails_its_question(faulty: None, fault: str, question: str) -> None:
    outcomes = check(spec(fault), CheckRequest("bits", "cpu"))
    failed = [one.question for one in outcomes if one.passed is False]
    assert failed == ([question] if question else [])


@pytest.mark.compute
def test_a_sweep_tells_sizes_and_idle_settings(faulty: None) -> None:
    outcomes = check(
        spec("small", 2, steps=2, guidance=7.5), CheckRequest("bits", "cpu", sweep=True)
    )
    answers = {one.question: one.answer for one in outcomes}
    assert answers["batch sizes"].startswith("1: ")
    assert answers["batch sizes"].endswith("8: does not fit (RuntimeError)")
    assert answers["settings that change nothing"] == "guidance = 7.5"


def test_depths_ask_as_much_as_they_say() -> None:
    dummy = model_by_name("DummyI2T")
    counts = [len(check(dummy, CheckRequest(depth, "cpu"))) for depth in ("files", "load", "bits")]
    assert counts == [1, 2, 7]


def test_a_failure_on_one_machine_and_a_pass_on_another_is_no_failure(
    faulty: None, tmp_path: Path
) -> None:
    broken, bad = spec("broken"), check(spec("broken"), CheckRequest("load", "cpu"))
    good = check(spec("none"), CheckRequest("load", "cpu"))
    records.keep(broken, "load", {"device": "cpu", "cpu": "this"}, bad, tmp_path)
    (line,) = records.failures([broken], tmp_path)
    assert "Painter: two loads give the same: " in line
    assert "(this, " in line
    records.keep(broken, "load", {"device": {"name": "card"}, "cpu": "that"}, good, tmp_path)
    assert records.failures([broken], tmp_path) == []
    # Another setting is another model, which nobody has checked.
    assert records.records_of(spec("broken", steps=2), tmp_path) == []
    for path in tmp_path.rglob("*.json"):
        path.write_text('{"numerics": 3}')
    assert records.records_of(broken, tmp_path) == []


def test_submit_refuses_what_failed_and_plan_says_what_nobody_checked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small: dict[str, object],
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("e.json").write_text(json.dumps(small))

    def typed(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["panic-hpc", *words])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    assert typed("plan", "e.json", "E")[0] == 0
    code, told = typed("models", "check", "E", "--depth", "load", "--device", "cpu")
    assert (code, "two loads give the same: yes" in told) == (0, True)

    def refuse(spec: ModelSpec, device: str) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(loading, "load", refuse)
    code, told = typed("models", "check", "E", "--depth", "load", "--device", "cpu")
    assert (code, "NO  two loads give the same: no kernel image" in told) == (1, True)
    code, told = typed("submit", "E")
    assert code == 1
    assert "failed their checks: DummyT2I: two loads give the same: no kernel image" in told
    assert f"panic-hpc models check {tmp_path / 'E'}" in told


def test_a_compiled_model_needs_a_check_of_its_bits_on_that_kind_of_machine(
    tmp_path: Path,
) -> None:
    model, here = spec("none"), {"device": {"name": "H100"}}
    good, bad = Checked("repeat", True, "equal"), Checked("repeat", False, "pixels differ")
    kept: list[tuple[Depth, list[Checked]]] = [("load", [good]), ("bits", [good, bad])]
    for depth, outcomes in kept:
        with pytest.raises(ModelError, match="not known to repeat on this kind of machine"):
            records.require_checked([model], here, tmp_path)
        records.keep(model, depth, here, outcomes, tmp_path)
    with pytest.raises(ModelError, match="repeat: pixels differ"):
        records.require_checked([model], here, tmp_path)
    records.keep(model, "bits", here, [good], tmp_path)
    records.require_checked([model], here, tmp_path)
    with pytest.raises(ModelError):
        records.require_checked([model], {"device": {"name": "A100"}}, tmp_path)
