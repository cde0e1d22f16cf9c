"""What every model must hold, whatever its family: fixed shapes, no coupling, repeatable."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import Checkpoints, git, llava, vision_encoder_decoder

from panic_hpc import installed
from panic_hpc.experiment.catalogue import load as load_catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.resolution import resolve
from panic_hpc.models.base import Judged
from panic_hpc.models.loading import load
from panic_hpc.models.settings import settings_of
from panic_hpc.stages.codecs.base import Codec
from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.stages.codecs.text import TextCodec
from panic_hpc.store.results.metrics import are_component_names
from panic_hpc.types import EMBEDDING, IMAGE, SCORE, TEXT, ModelEntry, ModelSpec

CODECS: dict[str, Codec] = {TEXT: TextCodec(), IMAGE: ImageCodec()}
TEXTS = ["a red square", "", "the moon and the boat on the grey", "ünïcode ☃", "x", "a a a a", "on"]


def offline_entries() -> Iterator[tuple[str, ModelEntry]]:
    """Yield (family, entry) of each model known by name that needs no hub."""
    for family in installed.plugins("families").values():
        for entry in family.entries:
            if not entry.unavailable and not entry.repository:
                yield family.name, entry


def spec_of(family: str, entry: ModelEntry) -> ModelSpec:
    """Return a model known by name as an experiment would use it."""
    name = entry.name
    is_member = entry.produces not in (EMBEDDING, SCORE)
    parts: dict[str, Any] = {"networks": [[name] if is_member else ["DummyT2I", "DummyI2T"]]}
    parts |= {"stages": {"metrics": {"models": [name]}}} if entry.produces == SCORE else {}
    values = {"prompts": ["x"], "max_length": 1, "embedding_models": ["DummyText"]}
    values |= {"embedding_models": [name]} if entry.produces == EMBEDDING else {}
    experiment = Experiment.model_validate({**values, **parts})
    return resolve(experiment, load_catalogue()).specs[name]


def images(count: int, side: int = 16) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (side, side, 3)).astype(np.uint8) for _ in range(count)]


def inputs_for(modality: str, count: int) -> list[Any]:
    return (
        [TEXTS[place % len(TEXTS)] for place in range(count)] if modality == TEXT else images(count)
    )


def _tiny(checkpoints: Checkpoints) -> dict[str, Any]:
    return {
        "diffusers": lambda: checkpoints.diffusion(),
        "git": lambda: checkpoints.captioner(git),
        "llava": lambda: checkpoints.captioner(llava, prompt="What is it?"),
        "encoder-decoder": lambda: checkpoints.captioner(vision_encoder_decoder),
        "sentence-bert": lambda: checkpoints.text_embedding(),
        "vit": lambda: checkpoints.image_embedding(),
    }


GENERATIVE_TINY = ("diffusers", "git", "llava", "encoder-decoder")
EMBEDDING_TINY = ("sentence-bert", "vit")
ENTRIES = list(offline_entries())
GENERATIVE = [pair for pair in ENTRIES if pair[1].produces not in (EMBEDDING, SCORE)]
EMBEDDINGS = [pair for pair in ENTRIES if pair[1].produces == EMBEDDING]
METRICS = [pair for pair in ENTRIES if pair[1].produces == SCORE]
METRICS_TINY = ()


def _params(entries: list[tuple[str, ModelEntry]], tiny: tuple[str, ...]) -> list[Any]:
    marked = [pytest.param(name, id=f"tiny-{name}", marks=pytest.mark.compute) for name in tiny]
    return [pytest.param(pair, id=pair[1].name) for pair in entries] + marked


def family_of(spec: ModelSpec) -> Any:
    return installed.plugins("families")[spec.family]


def _loaded(param: Any, checkpoints: Checkpoints) -> Any:
    spec = _tiny(checkpoints)[param]() if isinstance(param, str) else spec_of(*param)
    return load(spec, "cpu")


def same(a: Any, b: Any) -> bool:
    return np.array_equal(a.value, b.value) and (
        (a.input_tokens, a.output_tokens, a.input_truncated, a.output_truncated)
        == (b.input_tokens, b.output_tokens, b.input_truncated, b.output_truncated)
    )


@pytest.fixture(scope="module", params=_params(GENERATIVE, GENERATIVE_TINY))
def generative(request: pytest.FixtureRequest, checkpoints: Checkpoints) -> Any:
    return _loaded(request.param, checkpoints)


class TestGenerative:
    def batch(self, generative: Any) -> tuple[list[Any], list[int]]:
        size = generative.spec.batch_size
        return inputs_for(generative.spec.consumes, size), list(range(100, 100 + size))

    def test_gives_a_storable_output_per_input(self, generative: Any) -> None:
        inputs, seeds = self.batch(generative)
        outputs = generative.generate(inputs, seeds)
        assert len(outputs) == generative.spec.batch_size
        codec = CODECS[generative.spec.produces]
        assert [codec.problem(output.value) for output in outputs] == [""] * len(outputs)

    def test_is_repeatable(self, generative: Any) -> None:
        batch = self.batch(generative)
        assert all(map(same, generative.generate(*batch), generative.generate(*batch)))

    @pytest.mark.parametrize("slots", ["ends", pytest.param("all", marks=pytest.mark.long)])
    def test_neighbours_do_not_matter(self, generative: Any, slots: str) -> None:
        inputs, seeds = self.batch(generative)
        whole = generative.generate(inputs, seeds)
        last = len(inputs) - 1
        for slot in range(last + 1) if slots == "all" else sorted({0, last}):
            alone = generative.generate([inputs[slot]] * len(inputs), [seeds[slot]] * len(inputs))
            assert same(alone[slot], whole[slot])

    def test_seeds_are_each_item_s_own(self, generative: Any) -> None:
        inputs, seeds = self.batch(generative)
        before = generative.generate(inputs, seeds)
        after = generative.generate(inputs, [seeds[0] + 1, *seeds[1:]])
        assert all(map(same, after[1:], before[1:]))
        # `Given` draws nothing: its picture is the one that it reads.
        if generative.spec.produces == IMAGE and generative.spec.name != "Given":
            assert not same(after[0], before[0])

    def test_a_model_loaded_again_gives_the_same(self, generative: Any) -> None:
        again = load(generative.spec, "cpu")
        batch = self.batch(generative)
        assert all(map(same, generative.generate(*batch), again.generate(*batch)))


@pytest.fixture(scope="module", params=_params(EMBEDDINGS, EMBEDDING_TINY))
def embedding(request: pytest.FixtureRequest, checkpoints: Checkpoints) -> Any:
    return _loaded(request.param, checkpoints)


class TestEmbedding:
    def inputs(self, embedding: Any) -> list[Any]:
        return inputs_for(embedding.spec.consumes, embedding.spec.batch_size)

    def test_gives_finite_float32_of_its_dimension(self, embedding: Any) -> None:
        vectors, truncated = embedding.embed(self.inputs(embedding))
        assert vectors.shape == (embedding.spec.batch_size, embedding.dimension)
        assert vectors.dtype == np.float32
        assert truncated.dtype == bool
        assert np.isfinite(vectors).all()

    def test_neighbours_do_not_matter(self, embedding: Any) -> None:
        inputs = self.inputs(embedding)
        whole, _ = embedding.embed(inputs)
        for slot in range(min(8, len(inputs))):
            alone, _ = embedding.embed([inputs[slot]] * len(inputs))
            assert np.array_equal(alone[slot], whole[slot])

    def test_different_inputs_have_different_vectors(self, embedding: Any) -> None:
        vectors, _ = embedding.embed(self.inputs(embedding))
        assert not np.array_equal(vectors[0], vectors[2])

    def test_a_model_loaded_again_gives_the_same(self, embedding: Any) -> None:
        inputs = self.inputs(embedding)
        again, _ = load(embedding.spec, "cpu").embed(inputs)
        assert np.array_equal(again, embedding.embed(inputs)[0])


@pytest.fixture(scope="module", params=_params(METRICS, METRICS_TINY))
def metric(request: pytest.FixtureRequest, checkpoints: Checkpoints) -> Any:
    return _loaded(request.param, checkpoints)


class TestMetric:
    def inputs(self, modality: str, count: int) -> list[Any]:
        # As large as those that the built-in models make.
        return images(count, 32) if modality == IMAGE else inputs_for(modality, count)

    def several(self, metric: Any, count: int) -> list[list[Judged]]:
        """Return batches that begin with different items."""
        items = self.items(metric, count + metric.spec.batch_size)
        return [items[place:] for place in range(count)]

    def items(self, metric: Any, count: int = 0) -> list[Judged]:
        size, family = count or metric.spec.batch_size, family_of(metric.spec)
        compared = family.compared(settings_of(metric.spec, family.settings))
        own = self.inputs(metric.spec.consumes, size)
        # Another one beside each: a picture compared with itself tells little.
        others = self.inputs(compared, size + 1)[1:] if compared else [None] * size
        return [Judged(*pair) for pair in zip(own, others, strict=True)]

    def test_gives_a_number_a_component(self, metric: Any) -> None:
        scores = metric.score(self.items(metric))
        assert len(scores) == metric.spec.batch_size
        assert are_component_names(metric.components)
        for score in scores:
            assert len(score.values) == len(metric.components)
            assert bool(score.problem) == bool(np.isnan(score.values).any())

    def test_neighbours_do_not_matter(self, metric: Any) -> None:
        items = self.items(metric)
        whole = metric.score(items)
        for slot in range(min(8, len(items))):
            alone = metric.score([items[slot]] * len(items))[slot]
            assert np.array_equal(alone.values, whole[slot].values, equal_nan=True)

    def test_different_items_have_different_scores(self, metric: Any) -> None:
        size = metric.spec.batch_size
        scores = [s for items in self.several(metric, 4) for s in metric.score(items[:size])]
        assert len({score.values for score in scores}) > 1

    def test_a_metric_loaded_again_gives_the_same(self, metric: Any) -> None:
        items = self.items(metric)
        pairs = zip(load(metric.spec, "cpu").score(items), metric.score(items), strict=True)
        assert all(np.array_equal(a.values, b.values, equal_nan=True) for a, b in pairs)
