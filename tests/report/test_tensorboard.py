"""Event files, parsed again: scores by step, pictures and settings are those of the dataset."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from experiments import planned
from little_experiment import run_command
from PIL import Image

import panic_hpc
from panic_hpc.errors import PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.report.tensorboard import FILE, export_tensorboard
from panic_hpc.stages.merge.experiments import merge

needs.library("tensorboardX", "tensorboard")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = planned(
        tmp_path_factory.mktemp("boarded") / "E",
        networks=[["Drawn", "DummyI2T"]],
        prompts=["a red apple", "a small boat"],
        models={"Drawn": {"base": "DummyT2I", "variant": [1, 2]}},
        stages={"metrics": {"models": ["Luminance", "SSIM"]}},
        max_length=6,
        loop_stop=False,
    )
    experiment.work("runs", "embeddings", "metrics", "diagrams")
    merge([experiment.paths.root], experiment.paths.dataset, MergeOptions())
    return experiment.paths.dataset


def events(path: Path) -> Iterator[Any]:
    """Yield the events of a file: length, its checksum, an event, its checksum, and again."""
    from tensorboardX.proto.event_pb2 import Event

    content = path.read_bytes()
    at = 0
    while at < len(content):
        (length,) = struct.unpack("<Q", content[at : at + 8])
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += 16 + length


def test_event_files_hold_scores_pictures_and_settings(path: Path, tmp_path: Path) -> None:
    with panic_hpc.open(path) as dataset:
        written = export_tensorboard(dataset, tmp_path / "tb", pictures=2)
        scores = dataset.scores("Luminance")
        first = [run for run in range(dataset.n_runs) if dataset.runs()["network"][run] == 0]
        image = dataset.image(first[0], 2)
    assert [file.name for file in written] == [FILE, FILE]
    found = list(events(written[0]))
    assert found[0].file_version == "brain.Event:2"
    assert all(event.wall_time == 0 for event in found), "events tell no time"
    values = [(event.step, value) for event in found for value in event.summary.value]
    scalars = {(v.tag, step): v.simple_value for step, v in values if v.HasField("simple_value")}
    at_two = [
        mean
        for run, step, mean in scores.select("run", "step", "mean").rows()
        if run in first and step == 2
    ]
    assert scalars["Luminance/mean", 2] == pytest.approx(np.mean(at_two))
    assert {step for tag, step in scalars if tag == "SSIM"} == {2, 4}
    pictures = {(v.tag, step): v.image for step, v in values if v.HasField("image")}
    assert len(pictures) == 2 * 3
    with Image.open(io.BytesIO(pictures["seed_1/a_red_apple", 2].encoded_image_string)) as shown:
        assert np.array_equal(np.asarray(shown), image)
    start = next(v for _, v in values if v.tag == "_hparams_/session_start_info")
    assert b"1.variant" in start.metadata.plugin_data.content
    assert b"1.size" not in start.metadata.plugin_data.content, "it is the same in all networks"


def test_the_verb_writes_what_the_function_does_and_over_nothing(
    path: Path, tmp_path: Path
) -> None:
    told = run_command("export", "tensorboard", path, "-o", tmp_path / "one")
    assert FILE in told
    with panic_hpc.open(path) as dataset:
        export_tensorboard(dataset, tmp_path / "two")
        with pytest.raises(PanicError, match="would be replaced"):
            export_tensorboard(dataset, tmp_path / "two")
    for one in sorted((tmp_path / "one").rglob(FILE)):
        two = tmp_path / "two" / one.relative_to(tmp_path / "one")
        assert shown(one) == shown(two)


def shown(path: Path) -> list[Any]:
    """Return what a file shows, but for settings, which lie in maps: protobuf orders none."""
    values = [(e.step, value) for e in events(path) for value in e.summary.value]
    return [(step, v.SerializeToString()) for step, v in values if "hparams" not in v.tag]
