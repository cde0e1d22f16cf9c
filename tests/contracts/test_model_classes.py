"""The contract of models for each class that people run, on tiny checkpoints of the real classes.

A handful in every run of the tests, all of them with `-m long` (a class that needs a library which
is not installed is skipped). Nothing here knows a class: settings come with its builder.
"""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from class_contract import (
    LONG,
    MARKS,
    SHORT,
    answers,
    class_of,
    copied,
    experiment_with,
    inputs_of,
    is_coupled,
    redigested,
    spec_of,
    tensors_of,
    without,
)
from tiny_checkpoints.classes import SIDE, TinyClass, all_classes

from panic_hpc.errors import ModelError
from panic_hpc.models.loading import load
from panic_hpc.models.needs import needs_of_folder
from panic_hpc.types import EMBEDDING, EMBEDDINGS, IMAGE, RUNS, TEXT

pytestmark = MARKS

HANDFUL = (
    "sdxl_turbo",
    "sd15_inpaint",
    "flux",
    "z_image",
    "janus",
    "janus_reading",
    "blip",
    "joycaption",
    "nomic",
    "nomic_experts",
    "dinov2_registers",
)
CLASSES = all_classes()


def _param(tiny: TinyClass) -> Any:
    marks = [] if tiny.name in HANDFUL else [pytest.mark.long]
    missing = not tiny.is_buildable
    reason = f"needs {' and '.join(tiny.needs)}"
    return pytest.param(
        tiny, id=tiny.name, marks=[*marks, pytest.mark.skipif(missing, reason=reason)]
    )


@pytest.fixture(scope="module", params=[_param(tiny) for tiny in CLASSES.values()])
def tiny(request: pytest.FixtureRequest) -> TinyClass:
    found: TinyClass = request.param
    return found


@pytest.fixture(scope="module")
def folder(tiny: TinyClass, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("classes") / tiny.name)


@pytest.fixture(scope="module")
def model(tiny: TinyClass, folder: Path) -> Iterator[Any]:
    """Load the model where no address can be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _refuse)
        yield load(spec_of(tiny, folder), "cpu")


def _refuse(self: socket.socket, address: Any) -> None:
    raise AssertionError(f"a model that is here asked {address}")


def test_what_it_needs_is_told_without_loading_it(tiny: TinyClass, folder: Path) -> None:
    assert set(needs_of_folder(folder)) == set(tiny.needs)


def test_neither_neighbours_nor_their_seeds_matter(model: Any) -> None:
    items = inputs_of(model.spec.consumes)
    size = model.spec.batch_size
    for slot in range(size):
        seen = {
            answers(model, {**dict.fromkeys(range(size), other), slot: items[0]}, seeds)[slot]
            for other in items
            for seeds in ({**dict.fromkeys(range(size), len(str(other))), slot: 5},)
        }
        assert len(seen) == 1


def test_loaded_again_it_gives_the_same(tiny: TinyClass, folder: Path, model: Any) -> None:
    """Weights that were drawn at random would not."""
    import torch

    torch.manual_seed(99)
    again = load(spec_of(tiny, folder), "cpu")
    items = dict(enumerate(inputs_of(model.spec.consumes)))
    seeds = dict.fromkeys(items, 5)
    assert answers(again, items, seeds) == answers(model, items, seeds)


def test_seeds_and_sizes_are_those_asked_for(tiny: TinyClass, model: Any) -> None:
    if model.spec.produces != IMAGE:
        pytest.skip("only pictures have a seed and a size")
    items = inputs_of(model.spec.consumes)[:1] * model.spec.batch_size
    first = model.generate(items, [1] * len(items))[0].value
    other = model.generate(items, [2] * len(items))[0].value
    assert (first != other).any()
    # Of some classes the checkpoint alone decides.
    assert first.shape[:2] == tuple(tiny.settings.get(side, SIDE) for side in ("height", "width"))


def test_what_is_cut_is_flagged_and_nothing_else(tiny: TinyClass, model: Any) -> None:
    size = model.spec.batch_size
    if model.spec.produces == TEXT:
        outputs = model.generate(inputs_of(IMAGE)[:size], [0] * size)
        limit = tiny.settings["max_new_tokens"]
        assert all(0 <= output.output_tokens <= limit for output in outputs)
        assert all(output.output_truncated <= (output.output_tokens == limit) for output in outputs)
    elif model.spec.produces == EMBEDDING and model.spec.consumes == TEXT:
        flags = [bool(model.embed([text] * size)[1][0]) for text in (SHORT, LONG)]
        # A static embedding is a mean over all tokens: it reads any length.
        assert flags == [False, tiny.name != "static"]
    elif model.spec.consumes == TEXT:
        short, long = (model.generate([text] * size, [0] * size)[0] for text in (SHORT, LONG))
        assert not short.input_truncated
        assert 0 < short.input_tokens < long.input_tokens
        # GLM-Image's prior reads any length.
        assert long.input_truncated == (tiny.name != "glm_image")


def test_a_weight_that_is_missing_in_any_part_is_refused(
    tiny: TinyClass, folder: Path, tmp_path: Path
) -> None:
    spec = spec_of(tiny, folder)
    for number, (path, tensor) in enumerate(tensors_of(spec, folder)):
        if "safety_checker" in path.parts:
            continue
        lacking = copied(spec, tmp_path / str(number))
        without(Path(lacking.path) / path.relative_to(folder), tensor)
        with pytest.raises(ModelError, match=r"lacks 1 weights|cannot be loaded"):
            load(redigested(lacking), "cpu")


def test_a_tokenizer_without_its_vocabulary_is_refused(
    tiny: TinyClass, folder: Path, tmp_path: Path
) -> None:
    spec = copied(spec_of(tiny, folder), tmp_path / "copy")
    files = list(Path(spec.path).rglob("tokenizer.json"))
    if not files or tiny.family == "image_embedding":
        pytest.skip("it reads no texts")
    for file in files:
        file.unlink()
    with pytest.raises(ModelError, match=r"no vocabulary|cannot be loaded"):
        load(redigested(spec), "cpu")


def test_a_batch_is_refused_where_neighbours_are_coupled(tiny: TinyClass, folder: Path) -> None:
    if not is_coupled(folder):
        pytest.skip("its items do not depend on each other")
    with pytest.raises(ModelError, match=f"{class_of(folder)}, whose items depend"):
        load(spec_of(tiny, folder, batch_size=2), "cpu")


def test_a_kill_changes_nothing(tiny: TinyClass, folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny, folder)
    stages = (RUNS, EMBEDDINGS) if spec.produces == EMBEDDING else (RUNS,)
    whole = experiment_with(tiny, spec, tmp_path / "whole")
    whole.work(*stages)
    killed = experiment_with(tiny, spec, tmp_path / "killed")
    killed.work(*stages[:-1])
    if (child := os.fork()) == 0:
        _work_until_killed(killed, stages[-1])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    killed.work(*stages)
    for stage in stages:
        assert killed.digests(stage) == whole.digests(stage)


def _work_until_killed(experiment: Any, stage: str) -> None:
    """Be killed before the third call of a model, or the second run's; never return."""
    asked = 0

    def should_stop(margin_s: float) -> str:
        nonlocal asked
        asked += 1
        if asked == (3 if stage == RUNS else 2):
            os.kill(os.getpid(), signal.SIGKILL)
        return ""

    try:
        experiment.work(stage, should_stop=should_stop)
    finally:
        os._exit(1)
