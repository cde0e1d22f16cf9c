"""An embedding model of Nomic's network: complete, and one text at a time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from panic_hpc.errors import ModelError
from panic_hpc.models.nomic.network import NomicConfig, shapes_of, token_vectors
from panic_hpc.models.settings import first_problem
from panic_hpc.models.torch_setup import torch_for
from panic_hpc.models.transformers_checkpoint import require_complete
from panic_hpc.models.weights import find_weights
from panic_hpc.types import ModelSpec

KIND = "NomicBertModel with experts"


class NomicEncoder:
    """The mean of a text's token vectors, cut to `dimension` numbers and of unit length.

    `settings` are those of families/sentence_transformers.py. A text has the same bits whatever its
    neighbours and the size of its batch, since it is read without any.
    """

    def __init__(self, spec: ModelSpec, settings: Any) -> None:
        self.spec = spec
        self.settings = settings
        self.dimension = 0
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load weights and tokenizer; ModelError where either lacks something, or has too much."""
        self._torch = torch_for(device)
        folder = Path(find_weights(self.spec).source)
        self._config = _config_of(folder, self.spec)
        self._weights = _weights_of(folder, self._config, self.spec)
        self.move(device)
        self._length = min(self.settings.max_tokens, self._config.max_trained_positions)
        self._tokenizer = _tokenizer_of(folder, self._length, self.spec)
        self.dimension = self.settings.dimension or self._config.n_embd
        if self.dimension > self._config.n_embd:
            width = self._config.n_embd
            raise ModelError(f"{self.spec.name} gives {width} numbers, not {self.dimension}")
        self.details = {"experts": self._config.num_experts, "text_limit": self._length}

    def move(self, device: str) -> None:
        """Bring the weights to `device`, the host's memory ("cpu") included."""
        self._weights = {name: value.to(device) for name, value in self._weights.items()}
        self._device = device

    def embed(self, inputs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the (B, D) float32 vectors, and which texts were cut."""
        vectors, truncated = zip(*map(self._read, inputs), strict=True)
        return np.stack(vectors), np.array(truncated)

    def _read(self, text: str) -> tuple[np.ndarray, bool]:
        tokens = self._tokenizer.encode(self.settings.prefix + text)
        ids = self._torch.tensor(tokens.ids, device=self._device)
        with self._torch.inference_mode():
            mean = token_vectors(self._config, self._weights, ids).mean(dim=0)
            vector = self._torch.nn.functional.normalize(mean[: self.dimension], dim=0)
        return vector.cpu().numpy(), bool(tokens.overflowing)


def _config_of(folder: Path, spec: ModelSpec) -> NomicConfig:
    # Not through transformers: its class of this name puts another base and epsilon in place of the
    # checkpoint's.
    table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        return NomicConfig.model_validate(table)
    except ValidationError as error:
        raise ModelError(
            f"{spec.name} is no {KIND}: {folder}/config.json, {first_problem(error)}",
            hint="Is its family another? Those without experts are of sentence_transformers",
        ) from error


def _weights_of(folder: Path, config: NomicConfig, spec: ModelSpec) -> dict[str, Any]:
    """Return a checkpoint's tensors in float32; ModelError unless they are those of the network."""
    import torch
    from safetensors.torch import load_file

    found = {
        name: value.to(torch.float32)
        for path in sorted(folder.glob("model*.safetensors"))
        for name, value in load_file(path).items()
    }
    shapes = shapes_of(config)
    require_complete(sorted(shapes.keys() - found.keys()), (), str(folder), KIND, spec)
    if strangers := sorted(found.keys() - shapes.keys()):
        raise ModelError(
            f"{folder} has {len(strangers)} weights that a {KIND} does not read, {strangers[0]} "
            f"first, so {spec.name} cannot be loaded"
        )
    for name, shape in shapes.items():
        if tuple(found[name].shape) != shape:
            raise ModelError(f"{folder}: {name} is {tuple(found[name].shape)} and not {shape}")
    return found


def _tokenizer_of(folder: Path, length: int, spec: ModelSpec) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            f"The tokenizer of {spec.name} has no vocabulary: {folder} lacks tokenizer.json",
            hint="Put the file back, or fetch the model again",
        )
    tokenizer = Tokenizer.from_file(str(path))
    # A file may ask for padding of its own.
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer
