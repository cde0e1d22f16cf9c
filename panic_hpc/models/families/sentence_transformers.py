"""Any embedding model of sentence-transformers, for texts or for images."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.models import builtin
from panic_hpc.models.settings import settings_of
from panic_hpc.models.tokens import Counter, counter_of_tokenizer
from panic_hpc.models.torch_setup import Dtype, quiet_loaders, torch_for
from panic_hpc.models.weights import find_weights
from panic_hpc.types import EMBEDDING, IMAGE, ModelSpec


class EmbeddingSettings(BaseModel):
    """What an embedding model may be told; texts are padded, or cut, to `max_tokens` each.

    The model's own limit counts where it is lower. `prompt_name` names one of the model's
    prompts, "" its default one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(32, ge=1, le=4096)
    modality: Literal["text", "image"] = "text"
    dtype: Dtype = "float32"
    # Every text is padded to it, so it costs time: attention over 512 tokens for a caption of 20. A
    # lower limit is the largest saving here.
    max_tokens: int = Field(512, ge=1, le=32_768)
    prompt_name: str = ""


class SentenceTransformersModel:
    """An embedding model called with tensors of one shape.

    `SentenceTransformer.encode` sorts by length and pads to the longest text of each batch, so
    that an embedding depends on its neighbours; this pads every text to the same length.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, EmbeddingSettings)
        self.dimension = 0
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the model and find its dimension by embedding one item."""
        self._torch = torch_for(device)
        from sentence_transformers import SentenceTransformer

        quiet_loaders()
        weights = find_weights(self.spec)
        dtype = getattr(self._torch, self.settings.dtype)
        self._model = SentenceTransformer(
            weights.source,
            device=device,
            # Always told: since transformers 5 a checkpoint stored in half precision loads as such.
            model_kwargs={"dtype": dtype, "use_safetensors": True},
            **weights.options,
        ).eval()
        self._device = device
        self._prepare()
        self.dimension = self._vectors(self._features(_blank(self.settings.modality))).shape[1]
        self.details = {"modules": [type(module).__name__ for module in self._model]}

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)

    def embed(self, inputs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return the (B, D) float32 vectors, and which texts were cut."""
        features = self._features(inputs)
        return self._vectors(features), self._truncated(inputs, features)

    def _truncated(self, inputs: Sequence[Any], features: Any) -> np.ndarray:
        """Return which texts are longer than what is read; only full rows need to be counted."""
        if self.settings.modality == IMAGE:
            return np.zeros(len(inputs), dtype=bool)
        # Counting tokenizes a second time, uncut; a row with padding cannot have been cut.
        full = (features["attention_mask"].sum(dim=1) == self._length).tolist()
        return np.array(
            [
                is_full and self._count(self._prompt + text).is_truncated
                for text, is_full in zip(inputs, full, strict=True)
            ]
        )

    def _prepare(self) -> None:
        if self.settings.modality == IMAGE:
            return
        # None where the model states no limit.
        own = self._model.max_seq_length or self.settings.max_tokens
        self._length = min(self.settings.max_tokens, own)
        self._prompt = self._chosen_prompt()
        self._count: Counter = counter_of_tokenizer(self._model.tokenizer, self._length)

    def _chosen_prompt(self) -> str:
        # Without it models trained with prefixes (Nomic, Qwen3) embed elsewhere; upstream's prefix
        # was swallowed by a **kwargs and never applied.
        name = self.settings.prompt_name or self._model.default_prompt_name
        prompts = self._model.prompts
        if self.settings.prompt_name and name not in prompts:
            known = ", ".join(sorted(prompts)) or "none"
            raise ModelError(f"{self.spec.name} has no prompt {name!r}", hint=f"It has: {known}")
        return prompts.get(name) or "" if name else ""

    def _features(self, inputs: Sequence[Any]) -> Any:
        if self.settings.modality == IMAGE:
            from PIL import Image

            return self._model.preprocess([Image.fromarray(pixels) for pixels in inputs])
        fixed = {"padding": "max_length", "max_length": self._length, "truncation": True}
        # preprocess and forward are what encode calls, without its sorting and its padding.
        features = self._model.preprocess(
            list(inputs), prompt=self._prompt or None, processing_kwargs={"text": fixed}
        )
        # A model whose preprocessing ignores the padding asked for would tie items to their
        # neighbours without a word.
        if features["input_ids"].shape[1] != self._length:
            shape = tuple(features["input_ids"].shape)
            raise ModelError(f"{self.spec.name} pads to {shape}, not to {self._length} tokens")
        return features

    def _vectors(self, features: Any) -> np.ndarray:
        torch = self._torch
        moved = {
            name: value.to(self._device) if isinstance(value, torch.Tensor) else value
            for name, value in features.items()
        }
        with torch.inference_mode():
            # Normalised or not as the model's own modules say: normalising here would change models
            # that were trained on dot products.
            vectors = self._model(moved)["sentence_embedding"]
        return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)


def _blank(modality: str) -> list[Any]:
    return [np.zeros((32, 32, 3), np.uint8)] if modality == IMAGE else ["a"]


class SentenceTransformers:
    """The family of sentence-transformers models."""

    name = "sentence_transformers"
    settings = EmbeddingSettings
    entries = builtin.entries("embedding", EmbeddingSettings.model_fields)

    def build(self, spec: ModelSpec) -> SentenceTransformersModel:
        """Return the model that `spec` names, not loaded yet."""
        return SentenceTransformersModel(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return what the settings say it reads, and embedding."""
        return str(settings.model_dump()["modality"]), EMBEDDING


PLUGINS = (SentenceTransformers(),)
