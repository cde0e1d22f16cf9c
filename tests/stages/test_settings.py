"""A stage's own settings: written under its name, checked by its class, kept in the manifest."""

from pathlib import Path

import pytest
from experiments import DEFAULTS, planned, stage_named
from plugins import plugin_file

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import plan_file
from panic_hpc.stages.base import stage_settings

WINDOWS_STAGE = """
from pydantic import BaseModel, ConfigDict
from panic_hpc.stages.base import Estimate, ShardStage


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    length: int = 5
    shift: int = 1


class Windows(ShardStage):
    name = "windows"
    after = ("runs",)
    settings = Settings

    def shards(self, manifest):
        return []

    def estimate(self, manifest):
        return Estimate(0.0, 0.0, 0.0)

    def execute(self, context, shard):
        pass


PLUGINS = (Windows(),)
"""
HEAD = """
networks = [["DummyT2I", "DummyI2T"]]
prompts = ["a red fox"]
embedding_models = ["DummyText"]
max_length = 4
"""


def key_of(tmp_path: Path, text: str) -> str:
    file = tmp_path / "e.toml"
    file.write_text(HEAD + text)
    return manifest.manifest_of(plan_file(file, catalogue.load())).key


def problems_of(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        key_of(tmp_path, text)
    return str(caught.value)


def test_the_settings_of_diagrams_have_two_names_and_one_key(tmp_path: Path) -> None:
    one = key_of(tmp_path, "[homology]\nmaxdim = 1\n")
    assert key_of(tmp_path, "[stages.diagrams]\nmaxdim = 1\n") == one
    assert key_of(tmp_path, "") != one
    both = "[homology]\nmaxdim = 1\n[stages.diagrams]\nmaxdim = 1\n"
    assert "homology and stages.diagrams" in problems_of(tmp_path, both)
    assert "maxdim" in problems_of(tmp_path, "[stages.diagrams]\nmaxdim = 99\n")


def test_an_experiment_without_such_tables_says_nothing_of_them() -> None:
    from panic_hpc.experiment.config import Experiment

    experiment = Experiment.model_validate(DEFAULTS)
    assert "stages" not in experiment.model_dump(mode="json")


def test_the_settings_of_a_plug_in_are_checked_completed_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    with plugin_file("panic_hpc.stages", folder, "windows.stage", WINDOWS_STAGE):
        written = planned(tmp_path / "exp", stages={"windows": {"length": 7}})
        stage = stage_named("windows")
        kept = stage_settings(stage, manifest.read(tmp_path / "exp"))
        assert (kept.length, kept.shift) == (7, 1)
        assert stage_settings(stage, planned(tmp_path / "other").manifest).length == 5
        assert key_of(tmp_path, "[stages.windows]\nlength = 7") != key_of(tmp_path, "")
        wrong = "[stages.windows]\nlenght = 7\nshift = 'x'\n[stages.runs]\nx = 1\n[stages.winds]\n"
        told = problems_of(tmp_path, wrong)
    for words in ("stages.windows.lenght: unknown key. Did you mean 'length'?",
                  "stages.windows.shift = 'x'",
                  "stages.runs = {'x': 1}: this stage has nothing to set",
                  "stages.winds: there is no such stage. Did you mean 'windows'?"):  # fmt: skip
        assert words in told
    # Read back also where the plug-in is not installed.
    assert manifest.read(tmp_path / "exp").key == written.manifest.key


def test_settings_of_diagrams_and_of_a_stage_without_any(tmp_path: Path) -> None:
    experiment = planned(tmp_path / "exp", homology={"maxdim": 1, "engine": "gudhi"})
    assert stage_settings(stage_named("diagrams"), experiment.manifest).maxdim == 1
    assert stage_settings(stage_named("runs"), experiment.manifest) is None
