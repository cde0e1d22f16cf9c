"""Models by name, by repository and revision, or by folder, with settings of their family."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from plugins import plugin_file
from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError, PanicError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.catalogue import Catalogue, catalogue_of
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.resolution import NO_COMMITS, Commits, Resolved, resolve
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.types import ModelEntry, ModelSpec

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class PainterSettings(BaseModel):
    """Settings of the test's own family."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = Field(2, ge=1)
    steps: int = Field(20, ge=1)
    produces: str = "image"


class Painter:
    """A family with weights: one model by name, others by repository or path."""

    name: ClassVar = "painter"
    settings: ClassVar = PainterSettings
    entries: ClassVar[tuple[ModelEntry, ...]] = (
        ModelEntry("Known", "text", "image", "owner/known", COMMIT, {"steps": 4}, 0.5),
        ModelEntry("Unpinned", "text", "image", "owner/unpinned", "", {}, 0.5),
        ModelEntry("Later", "text", "image", "owner/later", unavailable="not built"),
    )

    def build(self, spec: ModelSpec) -> Any:
        raise NotImplementedError

    def modalities(self, settings: PainterSettings) -> tuple[str, str]:
        return "text", settings.produces


class Stub(Painter):
    """A family without weights."""

    name: ClassVar = "stub"
    entries: ClassVar = (
        ModelEntry("Caption", "image", "text"),
        ModelEntry("Embed", "text", "embedding"),
    )

    def modalities(self, settings: PainterSettings) -> tuple[str, str]:
        raise ModelError("names only")


ARITHMETIC = catalogue_of({"stub": Stub(), "arithmetic": catalogue.load().families["arithmetic"]})
KNOWN = catalogue_of({"painter": Painter(), "stub": Stub()})


def resolved(
    painter: str,
    tables: Mapping[str, Any] | None = None,
    known: Catalogue = KNOWN,
    commits: Commits = NO_COMMITS,
    **changes: Any,
) -> Resolved:
    experiment = Experiment.model_validate(
        {
            "networks": [[painter, "Caption"]],
            "prompts": ["p"],
            "embedding_models": ["Embed"],
            "max_length": 4,
            "models": {} if tables is None else {painter: tables},
            **changes,
        }
    )
    return resolve(experiment, known, commits)


def only_problem(painter: str, tables: Mapping[str, Any] | None = None) -> str:
    (problem,) = resolved(painter, tables).problems
    return problem


def test_a_name_brings_all_that_is_known_of_it() -> None:
    known = resolved("Known")
    assert known.specs["Known"] == ModelSpec(
        "Known", "painter", "text", "image", "owner/known", COMMIT, "", 2,
        {"steps": 4, "produces": "image"},
    )  # fmt: skip
    assert known.seconds["Known"] == 0.5


def test_an_experiment_sets_what_it_names_and_nothing_else() -> None:
    other = "f" * 40
    tables = {"batch_size": 7, "seconds": 9, "repository": "me/mine", "revision": other}
    spec = resolved("Known", tables).specs["Known"]
    assert (spec.batch_size, spec.settings["steps"]) == (7, 4)
    assert (spec.repository, spec.revision) == ("me/mine", other)
    assert resolved("Known", tables).seconds["Known"] == 9.0


def test_a_new_name_is_a_family_and_a_commit() -> None:
    tables = {"family": "painter", "repository": "me/mine", "revision": COMMIT, "steps": 3}
    spec = resolved("Mine", tables).specs["Mine"]
    assert (spec.family, spec.consumes, spec.produces) == ("painter", "text", "image")
    assert (spec.repository, spec.settings["steps"]) == ("me/mine", 3)


def test_a_folder_is_known_by_its_contents_alone(tmp_path: Path) -> None:
    specs = []
    for place, name in (("here", "Mine"), ("there", "Yours")):
        (tmp_path / place / "unet").mkdir(parents=True)
        (tmp_path / place / "unet" / "weights.safetensors").write_bytes(b"weights")
        tables = {"family": "painter", "path": str(tmp_path / place)}
        specs.append(resolved(name, tables).specs[name])
    assert specs[0].path != specs[1].path
    assert specs[0].identity() == specs[1].identity()
    assert specs[0].revision == folder_digest(tmp_path / "here")


def test_a_folder_may_stand_for_a_known_model(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    spec = resolved("Known", {"path": str(tmp_path)}).specs["Known"]
    assert (spec.repository, spec.revision) == ("", folder_digest(tmp_path))


def test_a_family_without_weights_needs_no_place_for_them() -> None:
    known = resolved("Mine", {"family": "arithmetic", "kind": "text_to_image"}, ARITHMETIC)
    assert known.problems == ()
    assert known.specs["Mine"].produces == "image"
    assert "has no weights" in only_problem("Mine", {"family": "stub", "path": "/tmp"})


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"steps": 0}, "models.Known.steps = 0: at least 1"),
        ({"stpes": 3}, "models.Known.stpes: unknown key. Did you mean 'steps'?"),
        ({"revision": "main"}, "models.Known.revision = 'main': a commit of 40 hexadecimal"),
        ({"licence": 3}, "models.Known.licence = 3: a text"),
        ({"gated": "yes"}, "models.Known.gated = 'yes': true or false"),
        ({"needs": "timm"}, "models.Known.needs = 'timm': a list was expected"),
        ({"gb": -1}, "models.Known.gb = -1: more than 0"),
        ({"path": "/tmp", "ref": "main"}, "ref and path: only one"),
        ({"repository": 3}, "models.Known.repository = 3: a text"),
        ({"path": ""}, "models.Known.path = '': a text"),
        ({"path": "/nowhere/at/all"}, "models.Known.path = '/nowhere/at/all'"),
        ({"path": "/tmp", "repository": "me/mine"}, "repository and path: only one"),
        ({"seconds": 0}, "models.Known.seconds = 0"),
        ({"seconds": float("inf")}, "models.Known.seconds = inf"),
        ({"seconds": True}, "models.Known.seconds = True"),
        ({"family": "paynter"}, "no such model family. Did you mean 'painter'"),
        ({"family": ["painter"]}, "no such model family"),
        ({"family": "stub"}, "Known is the name of a model of painter"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tables: dict[str, Any], problem: str) -> None:
    assert problem in only_problem("Known", tables)


def test_new_models_must_say_where_they_are() -> None:
    assert "repository, or path" in only_problem("Mine", {"family": "painter"})
    assert "no such model" in only_problem("Mine", {"steps": 3})


def test_a_model_without_a_commit_has_the_one_of_the_lock_or_none() -> None:
    mine = {"family": "painter", "repository": "me/mine", "ref": "v1"}
    commits = {("owner/unpinned", ""): COMMIT, ("me/mine", "v1"): "b" * 40}
    for name, table, locked in (("Unpinned", {}, COMMIT), ("Mine", mine, "b" * 40)):
        assert resolved(name, table).specs[name].revision == ""
        assert resolved(name, table, commits=commits).specs[name].revision == locked
    # A repository of the experiment's own has nothing of the known one's revision.
    other = resolved("Known", {"repository": "me/mine"}, commits=commits)
    assert other.specs["Known"].revision == ""


def test_a_folder_must_be_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    tables = {"path": str(tmp_path), "revision": "sha256:" + "0" * 64}
    assert "the folder is sha256:" in only_problem("Known", tables)


def test_settings_are_not_converted() -> None:
    assert "models.Known.steps = '4': a whole number" in only_problem("Known", {"steps": "4"})
    assert "models.Known.batch_size = True" in only_problem("Known", {"batch_size": True})


def test_a_known_model_stays_of_its_kind() -> None:
    assert "turn a model of text to image into one of text to smell" in only_problem(
        "Known", {"produces": "smell"}
    )


def test_what_cannot_be_loaded_yet_can_be_resolved() -> None:
    later = resolved("Later")
    assert later.problems == ()
    assert KNOWN.refusals(later.specs.values()) == ["Later cannot be loaded: not built"]


def test_one_name_is_one_model() -> None:
    with pytest.raises(PanicError, match="Two models are named 'Known'"):
        catalogue_of({"a": Painter(), "b": Painter()})


def test_a_caption_length_that_nothing_reads_is_told(small: dict[str, Any]) -> None:
    experiment = Experiment.model_validate({**small, "i2t_max_new_tokens": 5})
    (problem,) = resolve(experiment, catalogue.load()).problems
    assert problem == "i2t_max_new_tokens = 5: no captioner of this experiment counts tokens"


def test_upstreams_caption_length_reaches_captioners_only() -> None:
    mine = {"family": "transformers", "repository": "me/mine", "revision": COMMIT}
    known = resolved(
        "FluxDev",
        known=catalogue.load(),
        i2t_max_new_tokens=77,
        networks=[["FluxDev", "Gemma4"], ["FluxDev", "Mine"], ["FluxDev", "DummyI2T"]],
        embedding_models=["Nomic"],
        models={"Mine": mine},
    )
    assert known.problems == ()
    told = {name: spec.settings.get("max_new_tokens") for name, spec in known.specs.items()}
    assert told == {
        "FluxDev": None, "Gemma4": 77, "Mine": 77, "DummyI2T": None, "Nomic": None
    }  # fmt: skip


AUDIO = """
from pydantic import BaseModel, ConfigDict
from panic_hpc.types import ModelEntry

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 1

class Sound:
    name = "sound"
    settings = Settings
    entries = (ModelEntry("Say", "text", "audio"), ModelEntry("Hear", "audio", "text"),
               ModelEntry("EmbedSound", "audio", "embedding"))

    def build(self, spec):
        raise NotImplementedError

    def modalities(self, settings):
        raise NotImplementedError

PLUGINS = (Sound(),)
"""


def test_a_modality_is_added_in_one_file(tmp_path: Path) -> None:
    from panic_hpc.planning.plan import make_plan

    experiment = Experiment.model_validate(
        {
            "networks": [["Say", "Hear"]],
            "prompts": ["p"],
            "embedding_models": ["EmbedSound", "DummyText"],
            "max_length": 4,
        }
    )
    with plugin_file("panic_hpc.models.families", tmp_path, "sound_for_this_test", AUDIO):
        plan = make_plan(experiment, catalogue.load())
    assert [model.produces for model in plan.networks[0].models] == ["audio", "text"]
