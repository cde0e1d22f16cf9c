"""Rows of models: every one plans, validates against its family, and says what must be known."""

import re
from pathlib import Path

import pytest
from class_contract import json_of
from tiny_checkpoints.classes import all_classes

from panic_hpc.errors import PanicError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.catalogue import catalogue_of
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import needs
from panic_hpc.models.known.rows import known_rows
from panic_hpc.models.pipelines.classes import pipeline_class
from panic_hpc.planning.availability import missing_libraries, obstacles
from panic_hpc.planning.plan import Plan, make_plan
from panic_hpc.types import EMBEDDING, IMAGE, TEXT

CATALOGUE = catalogue.load()
ROWS = known_rows()
ERAS = {
    "python": "FluxDev FluxSchnell SDXLTurbo Moondream BLIP2 Nomic JinaClip STSBMpnet STSBRoberta "
    "STSBDistilRoberta NomicVision JinaClipVision DummyT2I DummyT2I2 DummyI2T DummyI2T2 DummyText "
    "DummyText2 DummyVision DummyVision2",
    "elixir 1": "SD35Medium Flux2Dev Flux2Klein ZImageTurbo GLMImage HunyuanImage Moondream "
    "Qwen25VL Gemma3n Pixtral LLaMA32Vision Florence2 STSBMpnet STSBRoberta STSBDistilRoberta "
    "Nomic JinaClip Qwen3Embed ColNomic NomicVision JinaClipVision ColNomicVision QwenImage "
    "InstructBLIP Phi4Vision Phi4ReasoningVision FluxSchnell FluxDev",
    "elixir 2": "SD35Medium ZImageTurbo Flux2Klein Flux2Dev Qwen25VL Qwen3VL JoyCaption Gemma4 "
    "Moondream3 Qwen3Embed CapRL",
}
PINNED_BY_UPSTREAM = 11


# Where a class has a small checkpoint that goes through the contract of models: its builder.
BUILDERS = {
    "AuraFlowPipeline": "aura_flow", "BertModel": "minilm",
    "Blip2ForConditionalGeneration": "blip2", "BlipForConditionalGeneration": "blip",
    "CLIPModel": "clip", "ChromaPipeline": "chroma",
    "CogView4Pipeline": "cogview4", "DINOv3ViTModel": "dinov3", "Dinov2Model": "dinov2",
    "Dinov2WithRegistersModel": "dinov2_registers", "Flux2KleinPipeline": "flux2_klein",
    "Flux2Pipeline": "flux2_dev", "FluxPipeline": "flux",
    "Florence2ForConditionalGeneration": "florence2", "Gemma3ForConditionalGeneration": "gemma3",
    "Gemma3TextModel": "embedding_gemma", "Gemma3nForConditionalGeneration": "gemma3n",
    "Gemma4ForConditionalGeneration": "gemma4", "GitForCausalLM": "git_prompted",
    "GlmImagePipeline": "glm_image", "HunyuanImagePipeline": "hunyuan_image",
    "InstructBlipForConditionalGeneration": "instructblip",
    "InternVLForConditionalGeneration": "internvl",
    "JanusForConditionalGeneration": "janus", "Kosmos2ForConditionalGeneration": "kosmos2",
    "LlavaForConditionalGeneration": "joycaption", "Lumina2Pipeline": "lumina2",
    "MPNetModel": "stsb_mpnet", "MllamaForConditionalGeneration": "mllama",
    "ModernBertModel": "gte_modernbert", "NomicBertModel": "nomic",
    "PaliGemmaForConditionalGeneration": "paligemma", "PixArtSigmaPipeline": "pixart_sigma",
    "Qwen2_5_VLForConditionalGeneration": "qwen25vl", "Qwen3Model": "qwen3_embedding",
    "Qwen3VLForConditionalGeneration": "qwen3vl", "QwenImagePipeline": "qwen_image",
    "RobertaModel": "stsb_roberta", "SanaPipeline": "sana", "SiglipModel": "siglip2",
    "SmolVLMForConditionalGeneration": "smolvlm", "StableDiffusion3Pipeline": "sd35",
    "StableDiffusionPipeline": "sd15", "StableDiffusionXLPipeline": "sdxl",
    "XLMRobertaModel": "bge_m3", "ZImagePipeline": "z_image",
}  # fmt: skip
BUILDERS_OF_ROWS = {
    "JanusPro1BReader": "janus_reading",
    "JanusPro7BReader": "janus_reading",
    "Nomic": "nomic_experts",
}
"""Of classes that have two: two families load them, or two networks were published as one."""


def plan_with(name: str) -> Plan:
    """Plan an experiment that uses a model where its kind belongs."""
    entry = CATALOGUE.entries[name]
    generator = name if (entry.consumes, entry.produces) == (TEXT, IMAGE) else "DummyT2I"
    captioner = name if (entry.consumes, entry.produces) == (IMAGE, TEXT) else "DummyI2T"
    embedding = name if entry.produces == EMBEDDING else "DummyText"
    table = {"networks": [[generator, captioner]], "prompts": ["p"], "max_length": 4}
    experiment = Experiment.model_validate({**table, "embedding_models": [embedding]})
    return make_plan(experiment, CATALOGUE)


@pytest.mark.parametrize("era", ERAS)
def test_every_name_of_an_era_is_known(era: str) -> None:
    assert not set(ERAS[era].split()) - set(CATALOGUE.entries)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_plans_with_settings_that_its_family_takes(name: str) -> None:
    row, settings = ROWS[name]
    (spec,) = [spec for spec in plan_with(name).specs if spec.name == name]
    assert spec.repository == row.repository
    assert {**spec.settings, "batch_size": spec.batch_size}.items() >= dict(settings).items()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_loaded_by_a_family_or_says_why_not(name: str) -> None:
    row, settings = ROWS[name]
    refusals = [line for line in obstacles(plan_with(name)) if line.startswith(name)]
    if row.unavailable:
        assert (row.family, settings) == ("", {})
        assert row.consumes in (TEXT, IMAGE)
        assert row.produces in (TEXT, IMAGE, EMBEDDING)
        assert refusals == [f"{name} cannot be loaded: {row.unavailable}"]
        assert "not yet" not in row.unavailable
    else:
        assert row.architecture
        assert row.repository
        assert bool(refusals) == (row.family == "moondream")


def test_revisions_are_those_that_upstream_pinned_and_no_other() -> None:
    pinned = {name: row.revision for name, (row, _) in ROWS.items() if row.revision}
    assert len(pinned) == PINNED_BY_UPSTREAM
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in pinned.values())
    assert {name: row.ref for name, (row, _) in ROWS.items() if row.ref} == {
        "Moondream": "2025-06-21",
        "Phi4Vision": "refs/pr/70",
    }


def test_settings_that_change_nothing_are_not_set() -> None:
    """Guidance of distilled pipelines, and of those that want a negative prompt too."""
    for name in ("FluxSchnell", "Flux2Klein", "Flux2Klein4B", "QwenImage"):
        assert "guidance" not in ROWS[name][1]


def test_rows_say_of_a_class_what_is_known_of_it() -> None:
    """Coupled pipelines draw one picture a call, and what a class needs is told at plan."""
    coupled = set()
    for name, (row, _) in ROWS.items():
        known = pipeline_class(row.architecture)
        assert set(known.needs) <= set(row.needs), name
        if known.coupled and row.family:
            coupled.add(name)
            assert plan_with(name).networks[0].models[0].batch_size == 1
    assert coupled >= {"ZImageTurbo", "QwenImage", "GLMImage", "HunyuanImage", "Lumina2"}


def test_what_is_not_installed_is_told_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None if name == "num2words" else name)
    assert missing_libraries(plan_with("SmolVLM"), tmp_path) == {"SmolVLM": ["num2words"]}
    assert missing_libraries(plan_with("BLIP"), tmp_path) == {}


def test_a_class_that_was_tried_is_one_that_the_contract_tries() -> None:
    """And the row's family is the one that the contract loads it with."""
    tried = {row.architecture for row, _ in ROWS.values() if row.tried == "class"}
    assert tried <= set(BUILDERS)
    for name, (row, _) in ROWS.items():
        if row.tried == "class":
            builder = BUILDERS_OF_ROWS.get(name, BUILDERS[row.architecture])
            assert all_classes()[builder].family == row.family


@pytest.mark.compute
@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", BUILDERS)
def test_a_builder_makes_a_checkpoint_of_its_rows_class(architecture: str, tmp_path: Path) -> None:
    tiny = all_classes()[BUILDERS[architecture]]
    if not tiny.is_buildable:
        pytest.skip(f"needs {' and '.join(tiny.needs)}")
    folder = tiny.save(tmp_path / "tiny")
    config, index = json_of(folder / "config.json"), json_of(folder / "model_index.json")
    assert architecture in (index.get("_class_name"), *config.get("architectures", ()))


@pytest.mark.compute
def test_every_class_is_one_that_the_installed_libraries_have() -> None:
    import diffusers
    import transformers

    for name, (row, _) in ROWS.items():
        if row.family and row.family != "moondream":
            library = diffusers if row.family == "diffusers" else transformers
            assert hasattr(library, row.architecture), name


def test_a_name_is_one_model() -> None:
    families = CATALOGUE.families
    row = {"MicroTurbo": next(iter(ROWS.values()))}
    with pytest.raises(PanicError, match="Two models are named 'MicroTurbo'"):
        catalogue_of(families, row)


def test_the_documents_tables_are_those_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(str(root / "tools"))
    from model_table import filled

    document = (root / "docs" / "models.md").read_text()
    assert filled(document) == document, "run tools/documents/model_table.py docs/models.md"
    assert all(f"| {name} |" in document for name in ROWS)
