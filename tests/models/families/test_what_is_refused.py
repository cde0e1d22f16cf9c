"""Models that would do something else than asked, without a word: each is an error at load."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_contract import MARKS, copied, redigested, spec_of, without
from tiny_checkpoints import Checkpoints, vision_encoder_decoder
from tiny_checkpoints.classes import all_classes

from panic_hpc.errors import ModelError
from panic_hpc.models.captioner import CLEANED
from panic_hpc.models.families.image_embedding import ImageEmbeddingModel
from panic_hpc.models.loading import load
from panic_hpc.models.needs import needs_of_config, needs_of_folder
from panic_hpc.models.pipelines.classes import known_classes

pytestmark = MARKS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classes")


def loaded(root: Path, name: str, **changes: Any) -> Any:
    tiny = all_classes()[name]
    return load(spec_of(tiny, tiny.save(root / name), **changes), "cpu")


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("flux", {"height": 37, "width": 40}, "asked for 37 by 40 pixels it gives 36 by 40"),
        ("pixart_sigma", {"arguments": {}}, "draws 256 by 256 pixels and resizes them to 32 by 32"),
        ("flux_schnell", {"guidance": 3.5}, "on which guidance has no effect"),
        ("flux", {"negative_prompt": "blurred"}, "on which negative_prompt has no effect"),
        ("sdxl_turbo", {"negative_prompt": "blurred"}, "on which negative_prompt has no effect"),
        ("sd15_with_checker", {"safety_checker": True}, "safety checker of .* blackened"),
        ("sdxl", {"safety_checker": False}, "has no safety checker"),
        ("sdxl", {"arguments": {"prompt_embeds": 1}}, "knows no arguments.prompt_embeds|cannot be"),
        ("sdxl", {"arguments": {"loudness": 1}}, "knows no arguments.loudness"),
        ("flux", {"arguments": {"prompt": "another"}}, "knows no arguments.prompt"),
        ("joycaption", {"prompt": ""}, "is asked nothing"),
        ("blip", {"system": "You are a captioner."}, "cannot be told a system"),
        ("blip", {"processor": {"max_pixels": 100}}, "max_pixels does nothing"),
        ("minilm", {"prompt_name": "query"}, "has an empty prompt 'query'"),
        ("minilm", {"prompt_name": "passage"}, "has no prompt 'passage'"),
        ("minilm", {"normalise": True}, "of unit length by itself"),
        ("minilm", {"dimension": 99}, "gives 16 numbers, not 99"),
        ("clip", {"pooling": "cls"}, "no cls of its own"),
    ],
)  # fmt: skip
def test_what_would_be_ignored_is_refused(
    root: Path, name: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        loaded(root, name, **changes)


def test_a_prompt_that_nothing_reads_is_refused(checkpoints: Checkpoints) -> None:
    with pytest.raises(ModelError, match="cannot be told a prompt"):
        load(checkpoints.captioner(vision_encoder_decoder, prompt="What is it?"), "cpu")


class TestCaptionsAreWhatWasWritten:
    """And neither the prompt, nor places for the picture, nor tags."""

    @pytest.mark.parametrize("name", ["blip", "git_prompted", "blip2"])
    def test_counts_are_those_of_the_caption(self, root: Path, name: str) -> None:
        model = loaded(root, name)
        pictures = [np.full((32, 32, 3), grey, np.uint8) for grey in (0, 200)]
        # Without an end a caption has all the tokens that it may have.
        model._writer.generation_config.suppress_tokens = list(model._ends)
        for output in model.generate(pictures, [0, 0]):
            assert (output.output_tokens, output.output_truncated) == (6, True)
            assert not output.value.startswith(model.settings.prompt or "</s>")

    def test_kosmos_tags_are_no_part_of_it(self, root: Path) -> None:
        processor = loaded(root, "kosmos2")._processor.whole
        written = "<grounding> a man<object><patch_index_0001><patch_index_0002></object> sits"
        assert CLEANED["Kosmos2Processor"](processor, written) == "a man sits"


class TestOnlyWhatIsReadMustBeThere:
    def test_a_vision_model_without_its_pooler(
        self, checkpoints: Checkpoints, tmp_path: Path
    ) -> None:
        spec = copied(checkpoints.image_embedding(pooling="cls"), tmp_path / "copy")
        whole = load(checkpoints.image_embedding(pooling="cls"), "cpu")
        for tensor in ("pooler.dense.weight", "pooler.dense.bias"):
            without(Path(spec.path) / "model.safetensors", tensor)
        model = load(redigested(spec), "cpu")
        picture = [np.full((32, 32, 3), 90, np.uint8)] * spec.batch_size
        assert np.array_equal(model.embed(picture)[0], whole.embed(picture)[0])
        pooled = copied(checkpoints.image_embedding(pooling="pooler"), tmp_path / "other")
        without(Path(pooled.path) / "model.safetensors", "pooler.dense.bias")
        with pytest.raises(ModelError, match=r"lacks 1 weights of a ViTModel, pooler\.dense"):
            load(redigested(pooled), "cpu")

    def test_patches_are_neither_class_nor_register_tokens(self, root: Path) -> None:
        model = loaded(root, "dinov2_registers")
        assert isinstance(model, ImageEmbeddingModel)
        picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
        features = model._processor([_image(picture)], return_tensors="pt")
        tokens = model._model(**features).last_hidden_state[:, 5:].mean(dim=1)
        wanted = (tokens / tokens.norm(dim=-1, keepdim=True)).detach().numpy()
        assert np.allclose(model.embed([picture] * 2)[0][:1], wanted, atol=1e-6)


def _image(pixels: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(pixels)


def test_needs_are_found_in_a_checkpoints_parts(tmp_path: Path) -> None:
    assert needs_of_config({"model_type": "llava", "vision_config": {"model_type": "pixtral"}}) == (
        "torchvision",
    )
    assert needs_of_config({"model_type": "llava", "vision_config": None}) == ()
    assert needs_of_folder(tmp_path) == ()
    (tmp_path / "model_index.json").write_text('{"_class_name": "Flux2Pipeline"}')
    assert needs_of_folder(tmp_path) == ("torchvision",)
    (tmp_path / "model_index.json").write_text("[1")
    assert needs_of_folder(tmp_path) == ()


def test_classes_that_are_known_of_are_classes_of_diffusers() -> None:
    import diffusers

    tried = (Path(__file__).parents[3] / "constraints.txt").read_text().split()
    if f"diffusers=={diffusers.__version__}" not in tried:
        pytest.skip("needs the diffusers of constraints.txt, whose classes the list knows")
    assert [name for name in known_classes() if not hasattr(diffusers, name)] == []
