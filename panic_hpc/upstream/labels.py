"""What embedding models of upstream's are called in a dataset, whose arrays have their names."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from panic_hpc.upstream.imported_run import ImportedRun

# As experiments of our own may name models; shards/model holds 64 bytes.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEPT = 40
Value = TypeVar("Value")


class Labels:
    """The labels given so far: one for each model and length of its vectors.

    A model whose vectors always have one length, and whose name can be one, keeps it.
    """

    def __init__(self) -> None:
        self._origins: dict[str, tuple[str, int]] = {}
        self._lengths: dict[str, int] = {}

    def of(self, name: str, length: int) -> str:
        """Return the label of a model's vectors of a length, 0 where there are none."""
        first = self._lengths.get(name) or length
        self._lengths[name] = first
        dimensions = 0 if length in (0, first) else length
        label = _safe(f"{name}-{dimensions}d" if dimensions else name)
        self._origins.setdefault(label, (name, dimensions))
        return label

    def name(self, label: str) -> str:
        """Return upstream's name of a model."""
        return self._origins[label][0]

    def settings(self, label: str) -> dict[str, Any]:
        """Return what a model is, for its identity."""
        name, dimensions = self._origins[label]
        return {"name": name, "dimensions": dimensions} if dimensions else {"name": name}

    def relabelled(self, run: ImportedRun) -> ImportedRun:
        """Return a run with its results under the labels of their models."""
        labels = {
            name: self.of(name, len(run.embeddings[name][0][1]) if name in run.embeddings else 0)
            for name in (*run.embeddings, *run.diagrams)
        }
        return replace(
            run,
            embeddings=_renamed(run.embeddings, labels),
            diagrams=_renamed(run.diagrams, labels),
        )


def _renamed(values: Mapping[str, Value], labels: Mapping[str, str]) -> dict[str, Value]:
    return {labels[name]: value for name, value in values.items()}


def _safe(name: str) -> str:
    if _LABEL.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{re.sub('[^A-Za-z0-9_-]', '_', name)[:_KEPT].lstrip('_-') or 'model'}-{digest}"
