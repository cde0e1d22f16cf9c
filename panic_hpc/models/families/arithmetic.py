"""Arithmetic stand-ins under upstream's dummy names: numpy only, exact, shaped like the real."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from panic_hpc import clock
from panic_hpc.models.arithmetic_world import (
    draw_picture,
    look,
    move,
    read_text,
    vector,
    write_text,
)
from panic_hpc.models.base import Output
from panic_hpc.models.settings import settings_of
from panic_hpc.types import EMBEDDING, IMAGE, TEXT, Modality, ModelEntry, ModelSpec

Kind = Literal["text_to_image", "image_to_text", "text_embedding", "image_embedding"]

_MODALITIES: dict[str, tuple[Modality, Modality]] = {
    "text_to_image": (TEXT, IMAGE),
    "image_to_text": (IMAGE, TEXT),
    "text_embedding": (TEXT, EMBEDDING),
    "image_embedding": (IMAGE, EMBEDDING),
}


class ArithmeticSettings(BaseModel):
    """What a stand-in may be told; `variant` makes the second model of a kind another map."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    variant: int = Field(1, ge=1, le=2)
    batch_size: int = Field(4, ge=1, le=4096)
    size: int = Field(16, ge=16, le=256, description="side of a picture in pixels")
    dimension: int = Field(32, ge=8, le=1024, description="length of an embedding")
    max_words: int = Field(48, ge=1, description="words of a text that are read; the rest is cut")
    delay_s: float = Field(0.0, ge=0, allow_inf_nan=False, description="sleep in every call")


class _Stand:
    """What all stand-ins share: settings, and no weights to load."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, ArithmeticSettings)
        self.dimension = self.settings.dimension

    def load(self, device: str) -> None:
        """Do nothing: arithmetic has no weights and one device."""

    def _wait(self) -> None:
        if self.settings.delay_s:
            clock.sleep(self.settings.delay_s)

    def _cut(self, text: str) -> tuple[str, int, bool]:
        words = text.split()
        return " ".join(words[: self.settings.max_words]), len(words), self._is_long(words)

    def _is_long(self, words: Sequence[str]) -> bool:
        return len(words) > self.settings.max_words


class _TextToImage(_Stand):
    def generate(self, inputs: Sequence[str], seeds: Sequence[int]) -> list[Output]:
        self._wait()
        return [self._draw(text, seed) for text, seed in zip(inputs, seeds, strict=True)]

    def _draw(self, text: str, seed: int) -> Output:
        read, n_words, truncated = self._cut(text)
        state = move(read_text(read), seed, self.settings.variant)
        picture = draw_picture(state, seed, self.settings.size)
        return Output(picture, input_tokens=n_words, input_truncated=truncated)


class _ImageToText(_Stand):
    def generate(self, inputs: Sequence[np.ndarray], seeds: Sequence[int]) -> list[Output]:
        self._wait()
        return [self._caption(pixels) for pixels, _ in zip(inputs, seeds, strict=True)]

    def _caption(self, pixels: np.ndarray) -> Output:
        whole = write_text(look(pixels), self.settings.variant)
        text, n_words, truncated = self._cut(whole)
        kept = min(n_words, self.settings.max_words)
        return Output(text, output_tokens=kept, output_truncated=truncated)


class _TextEmbedding(_Stand):
    def embed(self, inputs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        self._wait()
        cuts = [self._cut(text) for text in inputs]
        states = [read_text(text) for text, _, _ in cuts]
        vectors = [vector(state, self.dimension, self.settings.variant) for state in states]
        return np.stack(vectors), np.array([truncated for _, _, truncated in cuts])


class _ImageEmbedding(_Stand):
    def embed(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        self._wait()
        states = [look(pixels) for pixels in inputs]
        vectors = [vector(state, self.dimension, self.settings.variant) for state in states]
        return np.stack(vectors), np.zeros(len(inputs), dtype=bool)


_CLASSES: dict[str, type[_Stand]] = {
    "text_to_image": _TextToImage,
    "image_to_text": _ImageToText,
    "text_embedding": _TextEmbedding,
    "image_embedding": _ImageEmbedding,
}


def _entry(name: str, kind: Kind, variant: int) -> ModelEntry:
    consumes, produces = _MODALITIES[kind]
    defaults = {"kind": kind, "variant": variant}
    note = "arithmetic stand-in for tests, one core"
    return ModelEntry(name, consumes, produces, defaults=defaults, seconds=1e-4, note=note)


class Arithmetic:
    """The family of stand-ins; `kind` in the settings says which."""

    name = "arithmetic"
    settings = ArithmeticSettings
    entries = (
        _entry("DummyT2I", "text_to_image", 1),
        _entry("DummyT2I2", "text_to_image", 2),
        _entry("DummyI2T", "image_to_text", 1),
        _entry("DummyI2T2", "image_to_text", 2),
        _entry("DummyText", "text_embedding", 1),
        _entry("DummyText2", "text_embedding", 2),
        _entry("DummyVision", "image_embedding", 1),
        _entry("DummyVision2", "image_embedding", 2),
    )

    def build(self, spec: ModelSpec) -> Any:
        """Return the stand-in that `spec.settings["kind"]` names."""
        return _CLASSES[spec.settings["kind"]](spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return what the settings' kind consumes and produces."""
        return _MODALITIES[settings.model_dump()["kind"]]


PLUGINS = (Arithmetic(),)
