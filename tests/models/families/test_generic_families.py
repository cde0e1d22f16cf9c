"""The generic families on tiny checkpoints of the real classes; no hub, no network."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import SIDE, TOKENS, Checkpoints, git, llava, vision_encoder_decoder

from panic_hpc.errors import ModelError
from panic_hpc.models.families.transformers_captioner import CaptionerSettings
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.loading import load
from panic_hpc.models.settings import identity_of
from panic_hpc.types import ModelSpec

pytestmark = pytest.mark.compute

LONG = "boat " * (TOKENS + 5)


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(count)]


def copied(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Return the model with a copy of its weights, to be spoilt."""
    shutil.copytree(spec.path, folder / "copy")
    return replace(spec, path=str(folder / "copy"))


def redigested(spec: ModelSpec) -> ModelSpec:
    """Return the model as planned with what is in its folder now."""
    return replace(spec, revision=folder_digest(Path(spec.path)))


class TestDiffusers:
    def test_pictures_are_those_of_the_bare_pipeline(self, checkpoints: Checkpoints) -> None:
        import diffusers
        import torch

        spec = checkpoints.diffusion(guidance=2.0)
        texts = ["a red moon", "a boat", ""]
        outputs = load(spec, "cpu").generate(texts, [1, 2, 3])
        bare = diffusers.DiffusionPipeline.from_pretrained(spec.path)
        bare.set_progress_bar_config(disable=True)
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in (1, 2, 3)]
        size = {"height": SIDE, "width": SIDE}
        images = bare(
            texts, generator=generators, num_inference_steps=2, guidance_scale=2.0, **size
        ).images
        for output, image in zip(outputs, images, strict=True):
            assert np.array_equal(output.value, np.asarray(image))

    def test_long_prompts_are_counted_and_flagged(self, checkpoints: Checkpoints) -> None:
        model = load(checkpoints.diffusion(), "cpu")
        short, long, empty = model.generate(["on", LONG, ""], [1, 1, 1])
        assert not short.input_truncated
        assert long.input_truncated
        assert long.input_tokens > TOKENS
        assert empty.input_tokens == 2

    def test_a_cut_prompt_is_flagged_without_an_alarm(self, checkpoints: Checkpoints) -> None:
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("transformers")
        logger.addHandler(handler)
        try:
            load(checkpoints.diffusion(), "cpu").generate([LONG] * 3, [1, 1, 1])
        finally:
            logger.removeHandler(handler)
        assert not [line for line in lines if "indexing errors" in line]

    def test_a_picture_that_is_not_finite_is_its_items_failure(
        self, checkpoints: Checkpoints
    ) -> None:
        import torch

        model = load(checkpoints.diffusion(), "cpu")
        decode = model._pipeline.vae.decode

        def spoilt(latents: torch.Tensor, **options: Any) -> Any:
            latents[1] = float("nan")
            return decode(latents, **options)

        model._pipeline.vae.decode = spoilt
        outputs = model.generate(["a", "b", "c"], [1, 2, 3])
        assert ["not finite" in output.problem for output in outputs] == [False, True, False]

    def test_a_pipeline_whose_pictures_are_all_not_finite_is_refused_when_it_is_loaded(
        self, checkpoints: Checkpoints, tmp_path: Path
    ) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        spec = copied(checkpoints.diffusion(), tmp_path)
        path = Path(spec.path) / "vae" / "diffusion_pytorch_model.safetensors"
        weights = {name: torch.full_like(v, float("nan")) for name, v in load_file(path).items()}
        save_file(weights, path, metadata={"format": "pt"})
        with pytest.raises(ModelError, match="not finite"):
            load(redigested(spec), "cpu")

    def test_settings_that_the_pipeline_does_not_know_are_refused(
        self, checkpoints: Checkpoints
    ) -> None:
        spec = checkpoints.diffusion(max_sequence_length=64)
        with pytest.raises(ModelError, match="max_sequence_length"):
            load(spec, "cpu")


class TestCaptioners:
    @pytest.mark.parametrize("make", [git, vision_encoder_decoder])
    def test_captions_are_those_of_the_bare_model(
        self, checkpoints: Checkpoints, make: Any
    ) -> None:
        import torch
        from PIL import Image
        from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

        spec = checkpoints.captioner(make)
        outputs = load(spec, "cpu").generate(pictures(3), [0, 0, 0])
        bare = AutoModelForImageTextToText.from_pretrained(spec.path).eval()
        images = [Image.fromarray(pixels) for pixels in pictures(3)]
        features = AutoImageProcessor.from_pretrained(spec.path)(images, return_tensors="pt")
        with torch.no_grad():
            ids = bare.generate(**features, do_sample=False, max_new_tokens=6)
        tokenizer = AutoTokenizer.from_pretrained(spec.path)
        texts = [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
        assert [output.value for output in outputs] == texts

    def test_a_caption_without_an_end_is_flagged(self, checkpoints: Checkpoints) -> None:
        model = load(checkpoints.captioner(max_new_tokens=4), "cpu")
        model._model.generation_config.suppress_tokens = list(model._ends)
        cut = model.generate(pictures(3), [0, 0, 0])
        assert all(output.output_truncated for output in cut)
        assert {output.output_tokens for output in cut} == {4}
        model._model.generation_config.suppress_tokens = None
        model._model.generation_config.forced_eos_token_id = model._ends[0]
        ended = model.generate(pictures(3), [0, 0, 0])
        assert not any(output.output_truncated for output in ended)
        assert all(output.output_tokens < 4 for output in ended)

    def test_a_chat_model_answers_one_question_and_its_prompt_is_not_the_caption(
        self, checkpoints: Checkpoints
    ) -> None:
        model = load(checkpoints.captioner(llava, prompt="What is it?"), "cpu")
        features = model._features(pictures(3))
        asked = model._processor.tokenizer.batch_decode(features["input_ids"])
        assert set(asked) == {"<image>" * 16 + " What is it? answer:"}
        outputs = model.generate(pictures(3), [0, 0, 0])
        assert not any("answer" in output.value for output in outputs)
        assert all(0 < output.output_tokens <= 6 for output in outputs)
        with pytest.raises(ModelError, match=r"Set prompt = "):
            load(checkpoints.captioner(llava), "cpu")

    def test_a_cache_of_fixed_length_keeps_to_the_contract_where_a_class_has_one(
        self, checkpoints: Checkpoints
    ) -> None:
        plain = checkpoints.captioner(llava, prompt="What is it?")
        spec = checkpoints.captioner(llava, prompt="What is it?", compile=True)
        model = load(spec, "cpu")
        three = model.generate(pictures(3), [0, 0, 0])
        assert model.generate(pictures(3), [0, 0, 0]) == three
        beside = [pictures(3)[0], *[255 - one for one in pictures(3)[1:]]]
        assert model.generate(beside, [0, 0, 0])[0] == three[0]
        # The tokens are those of the plain model here; on a GPU they need not be.
        assert [one.value for one in three] == [
            one.value for one in load(plain, "cpu").generate(pictures(3), [0, 0, 0])
        ]
        with pytest.raises(ModelError, match="GitForCausalLM has no cache of fixed length"):
            load(checkpoints.captioner(git, compile=True), "cpu")

    def test_compile_is_part_of_the_identity_where_it_is_on(self) -> None:
        off, on = (CaptionerSettings.model_validate({"compile": value}) for value in (False, True))
        assert "compile" not in identity_of(off)
        assert identity_of(on)["compile"] is True

    def test_a_checkpoint_of_another_model_is_refused(self, checkpoints: Checkpoints) -> None:
        """transformers itself would draw the missing weights at random."""
        import json

        source = checkpoints.folder(git)
        folder = checkpoints.root / "lacking"
        shutil.copytree(source, folder)
        config = json.loads((folder / "config.json").read_text())
        config["num_hidden_layers"] += 1
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="lacks"):
            load(checkpoints.spec("transformers", folder, max_new_tokens=4), "cpu")


class TestTextEmbeddings:
    def test_every_text_is_padded_to_one_length(self, checkpoints: Checkpoints) -> None:
        model = load(checkpoints.text_embedding(), "cpu")
        assert model._features(["a", "a red moon", ""])["input_ids"].shape == (3, TOKENS)

    def test_vectors_are_close_to_those_of_encode(self, checkpoints: Checkpoints) -> None:
        model = load(checkpoints.text_embedding(), "cpu")
        texts = ["a red moon", "the boat on the grey", "x"]
        assert np.allclose(model.embed(texts)[0], model._model.encode(texts), atol=1e-5)

    def test_the_named_prompt_is_applied(self, checkpoints: Checkpoints) -> None:
        plain = load(checkpoints.text_embedding(), "cpu")
        asked = load(checkpoints.text_embedding(prompt_name="query"), "cpu")
        written = plain.embed(["on the moon a boat"] * 3)[0]
        assert np.allclose(asked.embed(["a boat"] * 3)[0], written, atol=1e-6)
        with pytest.raises(ModelError, match=r"It has: .*query"):
            load(checkpoints.text_embedding(prompt_name="passage"), "cpu")

    def test_what_is_cut_is_flagged(self, checkpoints: Checkpoints) -> None:
        model = load(checkpoints.text_embedding(max_tokens=8), "cpu")
        _, truncated = model.embed(["a red moon", LONG, "a red moon on the grey boat"])
        assert truncated.tolist() == [False, True, True]


class TestImageEmbeddings:
    @pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
    def test_poolings(self, checkpoints: Checkpoints, pooling: str) -> None:
        model = load(checkpoints.image_embedding(pooling=pooling), "cpu")
        vectors, _ = model.embed(pictures(3))
        assert vectors.shape == (3, 16)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_a_pooling_that_the_model_lacks_is_refused(self, checkpoints: Checkpoints) -> None:
        with pytest.raises(ModelError, match="no projection"):
            load(checkpoints.image_embedding(pooling="projection"), "cpu")


class TestWeights:
    def test_a_changed_folder_is_refused(self, checkpoints: Checkpoints, tmp_path: Path) -> None:
        spec = checkpoints.captioner()
        folder = tmp_path / "copy"
        shutil.copytree(spec.path, folder)
        assert load(replace(spec, path=str(folder)), "cpu").spec.identity() == spec.identity()
        (folder / "more.txt").write_text("x")
        with pytest.raises(ModelError, match="is not what"):
            load(replace(spec, path=str(folder)), "cpu")

    def test_pickles_are_refused(self, checkpoints: Checkpoints, tmp_path: Path) -> None:
        import torch

        folder = tmp_path / "pickled"
        shutil.copytree(checkpoints.folder(git), folder)
        (folder / "model.safetensors").unlink()
        torch.save({}, folder / "pytorch_model.bin")
        with pytest.raises(ModelError, match="cannot be loaded"):
            load(checkpoints.spec("transformers", folder), "cpu")

    def test_a_device_that_is_not_there_is_refused(self, checkpoints: Checkpoints) -> None:
        import torch

        if torch.cuda.is_available():
            pytest.skip("needs a machine without a GPU")
        with pytest.raises(ModelError, match="no GPU"):
            load(checkpoints.captioner(), "cuda")
