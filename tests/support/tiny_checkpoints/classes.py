"""The classes that have a builder here, and how a model of each is described."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SIDE = 32
"""Pixels of the pictures that builders are made for."""

BODY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
}
"""The sizes of a transformer, as most configurations call them."""

Builder = Callable[[], tuple[Any, ...]]
"""Returns the parts of a checkpoint: each has save_pretrained, and all go into one folder."""


@dataclass(frozen=True)
class TinyClass:
    """A class of models: its family here, settings that it needs, libraries that it needs."""

    name: str
    family: str
    build: Builder
    settings: Mapping[str, Any]
    needs: tuple[str, ...]

    @property
    def is_buildable(self) -> bool:
        """Whether this environment has what it needs."""
        return all(find_spec(name) for name in self.needs)

    def save(self, folder: Path) -> Path:
        """Write the checkpoint, equal ones at each call, unless it is there; return its folder."""
        import torch

        if not folder.exists():
            torch.manual_seed(7)
            for part in self.build():
                part.save_pretrained(str(folder))
        return folder


CLASSES: dict[str, TinyClass] = {}


def tiny(
    family: str, *, needs: tuple[str, ...] = (), **settings: Any
) -> Callable[[Builder], Builder]:
    """Enter a builder under its function's name."""

    def enter(build: Builder) -> Builder:
        CLASSES[build.__name__] = TinyClass(build.__name__, family, build, settings, needs)
        return build

    return enter


def all_classes() -> dict[str, TinyClass]:
    """Return every class by name; imports the builders and no heavy library."""
    from tiny_checkpoints import (  # noqa: F401
        autoregressive,
        captioners,
        chat_models,
        embeddings,
        language_pipelines,
        pipelines,
    )

    return CLASSES
