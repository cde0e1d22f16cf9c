"""Upstream's names: all there, all plannable, none loadable."""

import pytest

from panic_hpc.errors import ConfigError, ModelError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.families.upstream import Upstream
from panic_hpc.planning.plan import make_plan
from panic_hpc.types import EMBEDDING, IMAGE, TEXT

CATALOGUE = catalogue.load()
ERAS = {
    "python": "FluxDev FluxSchnell SDXLTurbo Moondream BLIP2 Nomic JinaClip STSBMpnet STSBRoberta "
    "STSBDistilRoberta NomicVision JinaClipVision DummyT2I DummyT2I2 DummyI2T DummyI2T2 DummyText "
    "DummyText2 DummyVision DummyVision2",
    "elixir 1": "SD35Medium Flux2Dev Flux2Klein ZImageTurbo GLMImage HunyuanImage Moondream "
    "Qwen25VL Gemma3n Pixtral LLaMA32Vision Florence2 STSBMpnet STSBRoberta STSBDistilRoberta "
    "Nomic JinaClip Qwen3Embed ColNomic NomicVision JinaClipVision ColNomicVision QwenImage "
    "InstructBLIP Phi4Vision FluxSchnell FluxDev",
    "elixir 2": "SD35Medium ZImageTurbo Flux2Klein Flux2Dev Qwen25VL Qwen3VL JoyCaption Gemma4 "
    "Moondream3 Qwen3Embed",
}


@pytest.mark.parametrize("era", ERAS)
def test_every_name_of_an_era_is_known(era: str) -> None:
    assert not set(ERAS[era].split()) - set(CATALOGUE.entries)


@pytest.mark.parametrize("entry", Upstream.entries, ids=lambda entry: entry.name)
def test_every_name_can_be_planned_but_not_loaded(entry: object) -> None:
    name = entry.name  # type: ignore[attr-defined]
    kinds = {model.name: (model.consumes, model.produces) for model in Upstream.entries}
    generator = name if kinds[name] == (TEXT, IMAGE) else "FluxDev"
    captioner = name if kinds[name] == (IMAGE, TEXT) else "Moondream"
    embedding = name if kinds[name][1] == EMBEDDING else "Nomic"
    plan = make_plan(
        Experiment.model_validate(
            {
                "networks": [[generator, captioner]],
                "prompts": ["p"],
                "embedding_models": [embedding],
                "max_length": 4,
            }
        ),
        CATALOGUE,
    )
    assert f"{name}: its loader is not built yet" in CATALOGUE.refusals(plan.specs)
    (spec,) = [spec for spec in plan.specs if spec.name == name]
    with pytest.raises(ModelError, match="not built yet"):
        Upstream().build(spec)


def test_pinned_revisions_are_commits_or_tags_that_upstream_pinned() -> None:
    pinned = {entry.name: entry.revision for entry in Upstream.entries if entry.revision}
    assert pinned.pop("Moondream") == "2025-06-21"
    assert all(len(revision) == 40 for revision in pinned.values())
    assert len(pinned) == 11


def test_the_family_upstream_is_names_only() -> None:
    with pytest.raises(ConfigError, match="no models but those it names"):
        make_plan(
            Experiment.model_validate(
                {
                    "networks": [["Mine", "DummyI2T"]],
                    "prompts": ["p"],
                    "embedding_models": ["DummyText"],
                    "max_length": 4,
                    "models": {
                        "Mine": {"family": "upstream", "repository": "a/b", "revision": "0" * 40}
                    },
                }
            ),
            CATALOGUE,
        )
