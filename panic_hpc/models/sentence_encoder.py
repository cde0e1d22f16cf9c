"""An embedding model of sentence-transformers: complete, and called with tensors of one shape."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc.errors import ModelError
from panic_hpc.models.tokens import Counter, counter_of_tokenizer
from panic_hpc.models.torch_setup import quiet_loaders, torch_for
from panic_hpc.models.transformers_checkpoint import (
    missing_weights,
    poison,
    require_complete,
    require_vocabulary,
)
from panic_hpc.models.weights import Weights, find_weights
from panic_hpc.types import IMAGE, ModelSpec

UNREAD = ("pooler.",)
"""Weights that sentence-transformers never reads: it pools by modules of its own."""


class SentenceEncoder:
    """An embedding model called with tensors of one shape.

    `SentenceTransformer.encode` sorts by length and pads to the longest text of each batch, so
    that an embedding depends on its neighbours; this pads every text to the same length.
    `settings` are those of families/sentence_transformers.py.
    """

    def __init__(self, spec: ModelSpec, settings: Any) -> None:
        self.spec = spec
        self.settings = settings
        self.dimension = 0
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the model and find its dimension by embedding one item.

        Raises ModelError where weights or vocabulary are missing, or a setting does nothing.
        """
        self._torch = torch_for(device)
        from sentence_transformers import SentenceTransformer

        quiet_loaders()
        weights = find_weights(self.spec)
        _require_no_experts(weights, self.spec)
        dtype = getattr(self._torch, self.settings.dtype)
        self._model = SentenceTransformer(
            weights.source,
            device=device,
            # Always told: since transformers 5 a checkpoint stored in half precision loads as such.
            model_kwargs={"dtype": dtype, "use_safetensors": True},
            **weights.options,
        ).eval()
        self._device = device
        self._require_complete(weights)
        self._prepare()
        self._require_dimension()
        self.details = {"modules": [type(module).__name__ for module in self._model]}

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._model.to(device)

    def embed(self, inputs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return the (B, D) float32 vectors, and which texts were cut."""
        features = self._features(inputs)
        return self._vectors(features), self._truncated(inputs, features)

    def _require_complete(self, weights: Weights) -> None:
        """Raise ModelError where a transformer among the modules lacks weights that it reads."""
        paths = _module_paths(weights)
        for place, module in enumerate(self._model):
            model = getattr(module, "model", None)
            if not hasattr(model, "base_model_prefix"):
                continue
            folder = {"subfolder": paths[place]} if place < len(paths) and paths[place] else {}
            part = Weights(weights.source, {**weights.options, **folder})
            names = missing_weights(type(model), part)
            require_complete(names, UNREAD, weights.source, type(model).__name__, self.spec)
            poison(model, names)

    def _truncated(self, inputs: Sequence[Any], features: Any) -> np.ndarray:
        """Return which texts are longer than what is read; only full rows need to be counted."""
        # Static embeddings have no mask: they take the mean over all tokens of a text.
        if self.settings.modality == IMAGE or "attention_mask" not in features:
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
        # None where the model states no limit, infinite for static embeddings.
        own = self._model.max_seq_length or self.settings.max_tokens
        self._length = int(min(self.settings.max_tokens, own))
        self._prompt = self._chosen_prompt()
        tokenizer = self._model.tokenizer
        # Static embeddings have one of the tokenizers library, which cannot be empty.
        if callable(tokenizer):
            require_vocabulary(tokenizer, f"the tokenizer of {self.spec.name}")
            self._count: Counter = counter_of_tokenizer(tokenizer, self._length)

    def _chosen_prompt(self) -> str:
        # Without it models trained with prefixes (Nomic, Qwen3) embed elsewhere; upstream's prefix
        # was swallowed by a **kwargs and never applied.
        asked, prompts = self.settings.prompt_name, self._model.prompts
        if asked and self.settings.prefix:
            raise ModelError(f"{self.spec.name} is given a prompt_name and a prefix: one of them")
        # sentence-transformers adds "query" and "document" to every model, as empty texts.
        named = sorted(name for name, text in prompts.items() if text)
        if asked and asked not in named:
            what = "an empty prompt" if asked in prompts else "no prompt"
            raise ModelError(
                f"{self.spec.name} has {what} {asked!r}",
                hint=f"It has: {', '.join(named) or 'none'}; or set prefix, which is put as it is",
            )
        name = asked or self._model.default_prompt_name
        return str(self.settings.prefix or (prompts.get(name) if name else "") or "")

    def _require_dimension(self) -> None:
        """Find the dimension by one item; ModelError for a cut or a scaling that does nothing."""
        self.dimension = self._vectors(self._features(_blank(self.settings.modality))).shape[1]
        wanted, modules = self.settings.dimension, [type(module).__name__ for module in self._model]
        if wanted and wanted != self.dimension:
            raise ModelError(f"{self.spec.name} gives {self.dimension} numbers, not {wanted}")
        if self.settings.normalise and modules[-1] == "Normalize" and not wanted:
            raise ModelError(
                f"{self.spec.name} gives vectors of unit length by itself",
                hint=f"Remove normalise from [models.{self.spec.name}]",
            )

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
        shape = tuple(features["input_ids"].shape)
        if "attention_mask" in features and shape[1] != self._length:
            raise ModelError(f"{self.spec.name} pads to {shape}, not to {self._length} tokens")
        return features

    def _vectors(self, features: Mapping[str, Any]) -> np.ndarray:
        torch = self._torch
        moved = {
            name: value.to(self._device) if isinstance(value, torch.Tensor) else value
            for name, value in features.items()
        }
        with torch.inference_mode():
            # Normalised or not as the model's own modules say, unless it is told: normalising would
            # change models that were trained on dot products.
            vectors = self._model(moved)["sentence_embedding"]
            vectors = vectors[:, : self.settings.dimension].float()
            if self.settings.normalise:
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)


def _require_no_experts(weights: Weights, spec: ModelSpec) -> None:
    """Raise ModelError for Nomic's network with experts: transformers would load another."""
    config = Path(weights.source) / "config.json"
    table = json.loads(config.read_text("utf-8")) if config.is_file() else {}
    if table.get("model_type") == "nomic_bert" and table.get("moe_every_n_layers"):
        raise ModelError(
            f"{spec.name} has experts, which transformers' class of its name lacks",
            hint=f'Set family = "nomic_experts" in [models.{spec.name}]',
        )


def _module_paths(weights: Weights) -> list[str]:
    """Return the folder of each module inside the checkpoint, "" for the checkpoint's own."""
    from transformers.utils import cached_file

    options = {k: v for k, v in weights.options.items() if k != "trust_remote_code"}
    found = cached_file(
        weights.source, "modules.json", _raise_exceptions_for_missing_entries=False, **options
    )
    if found is None:
        return [""]
    return [str(row.get("path", "")) for row in json.loads(Path(found).read_text("utf-8"))]


def _blank(modality: str) -> list[Any]:
    return [np.zeros((32, 32, 3), np.uint8)] if modality == IMAGE else ["a"]
