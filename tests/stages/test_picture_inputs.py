"""Runs that start from people's pictures: through every stage, into the dataset and out again."""

import json
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from experiments import Planned
from PIL import Image

import panic_hpc
from panic_hpc.analysis.comparing.arms import arms_of
from panic_hpc.errors import ShardError
from panic_hpc.experiment import catalogue
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.paths import ExperimentPaths
from panic_hpc.pictures.given import require_kept
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import plan_file
from panic_hpc.stages import prompt_inputs
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.stages.prompt_inputs import PromptInputs
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.exports.crate import Description, export_crate
from panic_hpc.store.exports.images import export_images

TOML = """
inputs = "in"
networks = [["Given"], ["DummyI2T", "DummyT2I"], ["Marked", "DummyI2T"]]
seeds = [1]
max_length = 3
embedding_models = ["DummyText", "DummyVision"]
metrics = ["like"]

[models.Marked]
base = "Given"
image = "Mask"

[models.like]
base = "SSIM"
against = "role:image"
"""


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture
def pictured(tmp_path: Path) -> Planned:
    for place, role in enumerate(("image", "Mask")):
        (tmp_path / "in" / role).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(pixels(10 * place + number)).save(
                tmp_path / "in" / role / f"{number}.png"
            )
    (tmp_path / "experiment.toml").write_text(TOML)
    plan = plan_file(tmp_path / "experiment.toml", catalogue.load())
    paths = ExperimentPaths(tmp_path / "EXP")
    manifest.write(plan, paths)
    return Planned(manifest.read(paths.root), paths)


def test_pictures_go_through_all_stages_and_come_out_as_they_were(
    pictured: Planned, tmp_path: Path
) -> None:
    pictured.work("runs", "embeddings", "metrics", "diagrams")
    merge([pictured.paths.root], pictured.paths.dataset, MergeOptions())
    with panic_hpc.open(pictured.paths.dataset) as dataset:
        for prompt in range(2):
            own = dataset.prompt_pictures(prompt)
            assert np.array_equal(own["image"], pixels(prompt))
            assert np.array_equal(own["Mask"], pixels(10 + prompt))
        # Given hands the picture on; a role's picture comes whatever the text before it says.
        assert np.array_equal(dataset.image(0, 0), pixels(0))
        assert np.array_equal(dataset.image(0, 1), pixels(0))
        assert np.array_equal(dataset.image(5, 0), pixels(11))
        assert np.array_equal(dataset.image(5, 2), pixels(11))
        scores = dataset.scores("like")
        assert set(scores.filter(scores["run"] == 0).get_column("ssim").to_list()) == {1.0}
        assert (scores.filter(scores["run"] == 5).get_column("ssim") < 0.5).all()
        # The picture that a run starts from is its step -1; there is no text to embed.
        steps = dataset.result("embeddings", "DummyVision").of_run(2)["step"].tolist()
        assert steps == [-1, 1]
        assert dataset.result("embeddings", "DummyText").of_run(2)["step"].tolist() == [0, 2]
        n_written = export_images(dataset, tmp_path / "out", image_format="png")
        assert n_written == 4 + sum(len(dataset.image_steps(run)) for run in range(6))
    exported = np.asarray(Image.open(tmp_path / "out" / "inputs" / "prompt_00001" / "Mask.png"))
    assert np.array_equal(exported, pixels(11))
    assert verify_file(pictured.paths.dataset).findings == ()


def test_a_crate_s_experiments_plan_again_with_their_pictures(
    pictured: Planned, tmp_path: Path
) -> None:
    needs.library("rocrate", "publish")
    pictured.work("runs", "embeddings", "metrics", "diagrams")
    merge([pictured.paths.root], pictured.paths.dataset, MergeOptions())
    crate = tmp_path / "crate"
    crate.mkdir()
    about = Description(title="Pictures", authors=("Doe, Jane",))
    export_crate([pictured.paths.dataset], crate, about)
    (one,) = json.loads((crate / "experiments.json").read_text())["experiments"]
    (crate / "again.json").write_text(json.dumps(one["experiment"]))
    again = plan_file(crate / "again.json", catalogue.load())
    assert manifest.manifest_of(again).key == pictured.manifest.key == one["key"]
    assert "inputs_0/Mask/1.webp" in (crate / "SHA256SUMS").read_text()
    (folder,) = (
        part
        for part in json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
        if part["@id"] == "inputs_0/"
    )
    assert folder["@type"] == "Dataset"


def test_pictures_are_decoded_when_they_are_read(
    pictured: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def kept(path: Path, digest: str) -> Any:
        read.append(digest)
        return require_kept(path, digest)

    monkeypatch.setattr(prompt_inputs, "require_kept", kept)
    inputs = PromptInputs(pictured.manifest, pictured.paths)
    first, second = (inputs.pictures(prompt) for prompt in pictured.manifest.prompts)
    assert list(first) == ["Mask", "image"]
    assert read == []
    assert np.array_equal(second["image"], second["image"])
    assert read == [dict(pictured.manifest.prompts[1].pictures)["image"]]


def test_prompts_are_called_by_the_names_of_their_files(pictured: Planned) -> None:
    assert [prompt.name for prompt in manifest.read(pictured.paths.root).prompts] == ["0", "1"]
    pictured.work("runs", "embeddings", "metrics", "diagrams")
    merge([pictured.paths.root], pictured.paths.dataset, MergeOptions())
    with panic_hpc.open(pictured.paths.dataset) as dataset:
        assert dataset.prompts()["name"].to_list() == ["0", "1"]
        assert dataset.runs(prompt="1")["prompt"].to_list() == [1, 1, 1]
        # Pictures without texts are different prompts: no run of an arm stands for another.
        arms = arms_of([dataset])
        assert [len(arm.rows) for arm in arms] == [2, 2, 2]
        assert {pair.prompt for pair in arms[0].rows} == {"0", "1"}


def test_a_picture_that_was_swapped_after_planning_is_refused(pictured: Planned) -> None:
    digest = dict(pictured.manifest.prompts[0].pictures)["image"]
    path = pictured.paths.input(digest)
    Image.fromarray(pixels(99)).save(path, "PNG")
    with pytest.raises(ShardError, match="not those that the experiment was planned with"):
        pictured.work("runs")
