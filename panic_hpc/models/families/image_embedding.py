"""Any vision model of transformers as an embedding model of images."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.models.needs import needs_of_config, require_installed
from panic_hpc.models.settings import settings_of
from panic_hpc.models.torch_setup import Dtype, quiet_loaders, torch_for
from panic_hpc.models.transformers_checkpoint import load_complete
from panic_hpc.models.weights import find_weights
from panic_hpc.types import EMBEDDING, IMAGE, ModelEntry, ModelSpec


class ImageEmbeddingSettings(BaseModel):
    """How a vision model becomes an embedding model.

    `pooling`: the class token, the mean of all tokens (class and register tokens too) or of the
    patches only, the model's own pooler, or the projection of models with two towers; `normalise`
    scales vectors to unit length.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(32, ge=1, le=4096)
    dtype: Dtype = "float32"
    # The class token is what DINO and Nomic were trained on; CLIP needs "projection".
    pooling: Literal["cls", "mean", "patches", "pooler", "projection"] = "cls"
    normalise: bool = True


class ImageEmbeddingModel:
    """A vision model, its image processor and a pooling."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, ImageEmbeddingSettings)
        self.dimension = 0
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the model and find its dimension by embedding one image."""
        self._torch = torch_for(device)
        from transformers import AutoConfig, AutoImageProcessor, AutoModel

        quiet_loaders()
        weights = find_weights(self.spec)
        self._dtype = getattr(self._torch, self.settings.dtype)
        config = AutoConfig.from_pretrained(weights.source, **weights.options)
        require_installed(self.spec.name, needs_of_config(config.to_dict()))
        # Which class it is depends on torchvision being there, and their resizing differs in bits:
        # so its name is recorded.
        self._processor = AutoImageProcessor.from_pretrained(weights.source, **weights.options)
        unread = () if self.settings.pooling == "pooler" else ("pooler.",)
        model = load_complete(AutoModel, weights, self.spec, self._dtype, unread=unread)
        self._model, self._device = model.to(device).eval(), device
        self._require_pooling()
        # One image and not a batch: only the width is read, and memory is not taken twice.
        self.dimension = self._vectors([np.zeros((32, 32, 3), np.uint8)]).shape[1]
        self.details = {
            "model": type(model).__name__,
            "image_processor": type(self._processor).__name__,
        }

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)

    def embed(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the (B, D) float32 vectors; images are never truncated."""
        return self._vectors(inputs), np.zeros(len(inputs), dtype=bool)

    def _vectors(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        from PIL import Image

        images = [Image.fromarray(pixels) for pixels in inputs]
        features = self._processor(images, return_tensors="pt")
        moved = {
            # Masks and shapes beside the pixels (SigLIP 2 of any aspect ratio) stay integers.
            name: value.to(self._device, self._dtype if value.is_floating_point() else value.dtype)
            for name, value in features.items()
        }
        with self._torch.inference_mode():
            vectors = self._pooled(moved).float()
            if self.settings.normalise:
                vectors = self._torch.nn.functional.normalize(vectors, dim=-1)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def _pooled(self, features: dict[str, Any]) -> Any:
        pooling = self.settings.pooling
        if pooling == "projection":
            projected = self._model.get_image_features(**features)
            # transformers 5 wraps projected features in an output object, 4 returned the tensor.
            return getattr(projected, "pooler_output", projected)
        result = self._model(**features)
        if pooling == "pooler":
            return self._require(getattr(result, "pooler_output", None))
        tokens = result.last_hidden_state
        if pooling == "patches":
            tokens = tokens[:, tokens.shape[1] - self._n_patches(features) :]
        return tokens[:, 0] if pooling == "cls" else tokens.mean(dim=1)

    def _n_patches(self, features: dict[str, Any]) -> int:
        """Return how many of the tokens, the last ones, are patches of the picture."""
        height, width = features["pixel_values"].shape[-2:]
        side = self._require(getattr(self._model.config, "patch_size", None))
        return int(height // side) * int(width // side)

    def _require_pooling(self) -> None:
        has_projection = hasattr(self._model, "get_image_features")
        if has_projection and self.settings.pooling != "projection":
            raise ModelError(
                f"{self.spec.name} is a {type(self._model).__name__}, which has a tower for texts "
                f"too and no {self.settings.pooling} of its own",
                hint=f'Set pooling = "projection" in [models.{self.spec.name}]',
            )
        self._require(has_projection or self.settings.pooling != "projection")

    def _require(self, part: Any) -> Any:
        if part is None or part is False:
            what = f"{self.spec.name} is a {type(self._model).__name__}"
            raise ModelError(
                f"{what}, which has no {self.settings.pooling}", hint="Try pooling = cls"
            )
        return part


class ImageEmbedding:
    """The family of vision models."""

    name = "image_embedding"
    settings = ImageEmbeddingSettings
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> ImageEmbeddingModel:
        """Return the model that `spec` names, not loaded yet."""
        return ImageEmbeddingModel(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and embedding."""
        return IMAGE, EMBEDDING


PLUGINS = (ImageEmbedding(),)
