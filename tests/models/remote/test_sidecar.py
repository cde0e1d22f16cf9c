"""Captioners in programs of their own: a stub speaks the protocol, or breaks it in one way each."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_experiment import plan_little

import panic_hpc
from panic_hpc.errors import ModelError
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.loading import load
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.types import IMAGE, TEXT, ModelSpec

STUB = Path(__file__).parents[2] / "support" / "servers" / "stub_sidecar.py"
SETTINGS = {"engine": "stub", "engine_version": "1.0", "prompt": "grey"}
PICTURES = [np.full((4, 6, 3), 10, np.uint8), np.full((8, 8, 3), 200, np.uint8)]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def spec(weights: Path, batch_size: int = 2, **changes: Any) -> ModelSpec:
    return ModelSpec(
        "Stub", "sidecar", IMAGE, TEXT, "", folder_digest(weights), str(weights), batch_size,
        SETTINGS | changes,
    )  # fmt: skip


def started(weights: Path, monkeypatch: pytest.MonkeyPatch, how: str = "", **changes: Any) -> Any:
    monkeypatch.setenv("PANIC_HPC_SIDECAR_STUB", f"{sys.executable} '{STUB}' {how}")
    return load(spec(weights, **changes), "cpu")


def test_pixels_go_over_whole_and_captions_come_back(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = started(weights, monkeypatch)
    outputs = model.generate(PICTURES, [0, 1])
    assert [one.value for one in outputs] == ["grey 10 of 4 by 6", "grey 200 of 8 by 8"]
    assert [one.output_tokens for one in outputs] == [6, 6]
    # Pixels that are no contiguous array in memory too.
    turned = [picture[::-1, ::2] for picture in PICTURES]
    assert model.generate(turned, [0, 1])[0].value == "grey 10 of 4 by 3"
    program = model._program
    program.close()
    assert program._process.returncode == 0


BROKEN = {
    "other-version": "planned with stub 1.0, and its program is stub 9.9",
    "mixes": "neighbours in a batch change",
    "no-weights": "its program says: the weights are of another kind",
    "prints": "answered nonsense",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_program_that_is_not_what_was_planned_is_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with pytest.raises(ModelError, match=BROKEN[how]):
        started(weights, monkeypatch, how)


def test_one_item_a_batch_has_no_neighbours(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = started(weights, monkeypatch, "mixes", batch_size=1)
    assert model.generate(PICTURES[:1], [0])[0].value == "grey 10 of 4 by 6"


def test_a_program_that_ends_says_how(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = started(weights, monkeypatch, "dies")
    with pytest.raises(ModelError, match=r"has ended \(exit code 7\)"):
        model.generate(PICTURES, [0, 1])


def test_a_text_that_is_missing_is_missed(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = started(weights, monkeypatch, "forgets")
    with pytest.raises(ModelError, match="1 texts came for 2 images"):
        model.generate(PICTURES, [0, 1])


def test_what_cannot_be_started_names_the_variable(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PANIC_HPC_SIDECAR_STUB", raising=False)
    with pytest.raises(ModelError, match="Set PANIC_HPC_SIDECAR_STUB"):
        load(spec(weights), "cpu")
    monkeypatch.setenv("PANIC_HPC_SIDECAR_STUB", "/nowhere/python stub")
    with pytest.raises(ModelError, match="cannot be started"):
        load(spec(weights), "cpu")


def test_an_experiment_runs_through_a_sidecar(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANIC_HPC_SIDECAR_STUB", f"{sys.executable} '{STUB}'")
    table = {"family": "sidecar", "path": str(weights), "batch_size": 2, **SETTINGS}
    root = plan_little(
        tmp_path / "E",
        networks=[["DummyT2I", "Stub"]],
        models={"DummyT2I": {"batch_size": 2}, "Stub": table},
        embedding_models=[],
        max_length=4,
    )
    workspace = panic_hpc.open_workspace(root)
    panic_hpc.submit(workspace, panic_hpc.request_for("local", executor="inline"), wait=True)
    assert verify_file(workspace.paths.dataset).findings == ()
    with panic_hpc.open(workspace.paths.dataset) as dataset:
        for run in range(dataset.n_runs):
            for step, text in dataset.texts(run).items():
                mean = int(dataset.image(run, step - 1).sum()) // (16 * 16 * 3)
                assert text == f"grey {mean} of 16 by 16"
