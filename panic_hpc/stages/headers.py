"""The headers of shard files: what a shard is, where its content comes from, in what numerics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from panic_hpc.stages.base import Context
from panic_hpc.store.journal import Journal
from panic_hpc.store.shard import ShardHeader
from panic_hpc.types import Shard


def begun(
    context: Context, shard: Shard, numerics: Mapping[str, Any], models: Sequence[Any] = ()
) -> ShardHeader:
    """Return the header of a shard whose work begins now, with loaded `models`."""
    provenance = {
        "started": time.time(),
        **context.provenance,
        "device": context.device,
        "models": {model.spec.name: _described(model) for model in models},
    }
    key = context.manifest.key
    return ShardHeader(shard.stage, shard.index, shard.model, key, numerics, provenance)


def _described(model: Any) -> dict[str, Any]:
    """Return a model's identity, and what it found out on loading where it says so."""
    return {**model.spec.identity(), "loaded": getattr(model, "details", {})}


def finished(header: ShardHeader, journal: Journal, **more: Any) -> ShardHeader:
    """Return `header` with the end of the work and every numerics class that had a part in it."""
    classes = journal.numerics
    numerics = classes[0] if len(classes) == 1 else {"classes": classes}
    provenance = {**header.provenance, "ended": time.time(), **more}
    return replace(header, numerics=numerics, provenance=provenance)
