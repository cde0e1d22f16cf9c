"""CLIP score and its kin: how well a picture fits a text, by a model with two towers.

CLIP score (Hessel et al., EMNLP 2021) is the cosine of both towers' vectors; PickScore (Kirstain et
al., NeurIPS 2023) is another checkpoint of the class, and what it is quoted by is its own scale
times that cosine. Any model of transformers with `get_image_features` and `get_text_features` will
do, SigLIP's too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Judged, Score
from panic_hpc.models.metric_settings import INPUT, MetricSettings
from panic_hpc.models.needs import needs_of_config, require_installed
from panic_hpc.models.settings import settings_of
from panic_hpc.models.tokens import counter_of_tokenizer
from panic_hpc.models.torch_setup import Dtype, quiet_loaders, torch_for
from panic_hpc.models.transformers_checkpoint import (
    load_complete,
    load_processor,
    require_vocabulary,
)
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, SCORE, TEXT, Modality, ModelEntry, ModelSpec


class ClipSettings(MetricSettings):
    """What a model with two towers may be told; it judges pictures against texts."""

    batch_size: int = Field(16, ge=1, le=4096)
    against: str = Field(INPUT, pattern=r"^(input|prompt)\z")
    dtype: Dtype = "float32"


class ClipMetric:
    """A model with two towers; texts are padded, or cut, to the length that it was made for.

    `cosine` of the two vectors; `logit`, that cosine on the model's own scale, as it gives it.
    """

    components = ("cosine", "logit")

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, ClipSettings)
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load both towers; ModelError where the checkpoint is of another kind."""
        self._torch = torch_for(device)
        from transformers import AutoConfig, AutoModel

        quiet_loaders()
        weights = find_weights(self.spec)
        config = AutoConfig.from_pretrained(weights.source, **weights.options)
        require_installed(self.spec.name, needs_of_config(config.to_dict()))
        self._processor = load_processor(weights)
        require_vocabulary(self._processor.tokenizer, f"the tokenizer of {self.spec.name}")
        dtype = getattr(self._torch, self.settings.dtype)
        model = load_complete(AutoModel, weights, self.spec, dtype)
        if not hasattr(model, "get_text_features") or not hasattr(model, "get_image_features"):
            what = f"{self.spec.name} is a {type(model).__name__}"
            raise ModelError(f"{what}, which has no tower for pictures and one for texts")
        self._model, self._device, self._dtype = model.to(device).eval(), device, dtype
        read = getattr(config.text_config, "max_position_embeddings", 10**6)
        self._limit = min(self._processor.tokenizer.model_max_length, read)
        self._count = counter_of_tokenizer(self._processor.tokenizer, self._limit)
        self.details = {"model": type(model).__name__, "text_limit": self._limit}

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return both numbers of each picture and text."""
        from PIL import Image

        pictures = [Image.fromarray(item.output) for item in items]
        texts = [item.against for item in items]
        with self._torch.inference_mode():
            seen = self._unit("get_image_features", self._seen(pictures))
            said = self._unit("get_text_features", self._said(texts))
            # float64: sums of unit vectors, whose last bits a comparison would else round away.
            cosines = (seen * said).sum(axis=1)
        scale, bias = self._scale()
        return [
            Score((float(cosine), float(cosine * scale + bias)), self._count(text).is_truncated)
            for cosine, text in zip(cosines, texts, strict=True)
        ]

    def _seen(self, pictures: Sequence[Any]) -> dict[str, Any]:
        return dict(self._processor.image_processor(pictures, return_tensors="pt"))

    def _said(self, texts: Sequence[str]) -> dict[str, Any]:
        # To one length, so that no text's neighbours decide its bits.
        told = {"padding": "max_length", "max_length": self._limit, "truncation": True}
        return dict(self._processor.tokenizer(list(texts), return_tensors="pt", **told))

    def _unit(self, tower: str, features: dict[str, Any]) -> np.ndarray:
        moved = {
            name: value.to(self._device, self._dtype if value.is_floating_point() else value.dtype)
            for name, value in features.items()
        }
        found = getattr(self._model, tower)(**moved)
        # transformers 5 wraps projected features in an output object, 4 returned the tensor.
        vectors = getattr(found, "pooler_output", found).double().cpu().numpy()
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    def _scale(self) -> tuple[float, float]:
        bias = getattr(self._model, "logit_bias", None)
        scale = float(self._model.logit_scale.detach().exp())
        return scale, 0.0 if bias is None else float(bias.detach())


class ClipFamily:
    """The family of models with two towers."""

    name = "clip"
    settings = ClipSettings
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> ClipMetric:
        """Return the metric that `spec` names, not loaded yet."""
        return ClipMetric(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and score."""
        return IMAGE, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return text."""
        return TEXT


PLUGINS = (ClipFamily(),)
