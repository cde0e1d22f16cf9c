"""Keys of today: an update that changes one makes strangers of all results under it.

`golden_keys/keys.json` holds them. A model may be added to it, none changed: a setting that a
family is given later is marked `AddedLater`, a family that is renamed keeps its `loader`. Written
anew with PANIC_HPC_WRITE_GOLDEN=1.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.catalogue import catalogue_of
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.resolution import resolve
from panic_hpc.keys import content_key
from panic_hpc.models.settings import AddedLater, settings_of
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import Plan, plan_file
from panic_hpc.types import ModelSpec

HERE = Path(__file__).parent / "golden_keys"
SHIPPED = Path(__file__).parents[2] / "configs" / "experiments"
FILES = [
    HERE / "every_family.toml",
    SHIPPED / "demo.toml",
    SHIPPED / "sweep.toml",
    SHIPPED / "edit.toml",
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def keys_of(plan: Plan) -> dict[str, Any]:
    return {
        "models": {spec.name: content_key(spec.identity()) for spec in plan.specs},
        "networks": [network.key for network in plan.networks],
        "runs": [plan.run(index).key for index in (0, plan.n_runs - 1)],
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_keys_are_those_of_earlier_versions(file: Path) -> None:
    golden = HERE / "keys.json"
    known = json.loads(golden.read_text()) if golden.exists() else {}
    keys = keys_of(plan_file(file, catalogue.load()))
    if os.environ.get("PANIC_HPC_WRITE_GOLDEN"):
        golden.write_text(json.dumps(known | {file.name: keys}, indent=1) + "\n")
        return
    assert keys == known[file.name]


class First(BaseModel):
    """A family's settings when it was new."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 1
    steps: int = 20


class Later(First):
    """The same after an update, whose new default is not what went before it."""

    tiles: Annotated[int, AddedLater(1)] = 4


class Painter:
    """A family with weights."""

    name = "painter"
    settings: ClassVar[type[BaseModel]] = First
    entries = ()

    def build(self, spec: ModelSpec) -> Any:
        return spec

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        return "text", "image"


class Renamed(Painter):
    """The same family under another name and with a setting more."""

    name = "oils"
    loader = "painter"
    settings = Later


ARITHMETIC = catalogue.load().families["arithmetic"]
BEFORE = catalogue_of({"painter": Painter(), "arithmetic": ARITHMETIC})
AFTER = catalogue_of({"oils": Renamed(), "arithmetic": ARITHMETIC})


def resolved(known: Any, **table: Any) -> ModelSpec:
    experiment = Experiment.model_validate(
        {
            "networks": [["Mine", "DummyI2T"]],
            "prompts": ["p"],
            "embedding_models": ["DummyText"],
            "max_length": 2,
            "models": {"Mine": {"repository": "me/mine", "revision": COMMIT, **table}},
        }
    )
    found = resolve(experiment, known)
    assert found.problems == ()
    return found.specs["Mine"]


def test_a_renamed_family_is_asked_for_by_either_name_and_keeps_the_keys() -> None:
    before = resolved(BEFORE, family="painter")
    for name in ("painter", "oils"):
        after = resolved(AFTER, family=name, tiles=1)
        assert after.family == "oils"
        assert after.identity() == before.identity()


def test_a_setting_added_later_counts_where_it_does_something() -> None:
    before = resolved(BEFORE, family="painter")
    assert resolved(AFTER, family="oils").identity() != before.identity()
    assert resolved(AFTER, family="oils").settings == {"steps": 20, "tiles": 4}


def test_a_model_planned_before_a_setting_was_there_goes_on_without_it() -> None:
    """And not with the default of today, which would be another model under an old key."""
    before = resolved(BEFORE, family="painter")
    assert settings_of(before, Later) == Later(tiles=1)
    assert settings_of(replace(before, settings={"tiles": 9}), Later).tiles == 9


def test_a_manifest_from_before_a_renaming_is_the_same_plan(tmp_path: Path) -> None:
    text = (
        'networks = [["Mine", "DummyI2T"]]\nprompts = ["p"]\nembedding_models = ["DummyText"]\n'
        f'max_length = 2\n[models.Mine]\nrepository = "me/mine"\nrevision = "{COMMIT}"\n'
        'family = "painter"\n'
    )
    (tmp_path / "before.toml").write_text(text)
    (tmp_path / "after.toml").write_text(text + "tiles = 1\n")
    before, after = tmp_path / "before", tmp_path / "after"
    old = manifest.write(plan_file(tmp_path / "before.toml", BEFORE), ExperimentPaths(before))
    new = manifest.write(plan_file(tmp_path / "after.toml", AFTER), ExperimentPaths(after))
    assert [run.key for run in old.runs()] == [run.key for run in new.runs()]
    again = manifest.read(after)
    assert again.networks[0].models[0] == new.networks[0].models[0]
    model = again.networks[0].models[0]
    assert (model.family, model.code) == ("oils", "painter")
    assert manifest.read(before).networks[0].models[0].code == "painter"
