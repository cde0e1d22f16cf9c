"""The headers of shard files: what a shard is, where its content comes from, in what numerics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from panic_hpc.stages.base import Context
from panic_hpc.store.journal import Journal
from panic_hpc.store.shard import ShardHeader
from panic_hpc.types import ModelSpec, Shard


def begun(
    context: Context, shard: Shard, numerics: Mapping[str, Any], models: Sequence[ModelSpec] = ()
) -> ShardHeader:
    """Return the header of a shard whose work begins now."""
    provenance = {
        "started": time.time(),
        **context.provenance,
        "device": context.device,
        "models": {spec.name: spec.identity() for spec in models},
    }
    key = context.manifest.key
    return ShardHeader(shard.stage, shard.index, shard.model, key, numerics, provenance)


def finished(header: ShardHeader, journal: Journal, **more: Any) -> ShardHeader:
    """Return `header` with the end of the work and every numerics class that had a part in it."""
    classes = journal.numerics
    numerics = classes[0] if len(classes) == 1 else {"classes": classes}
    provenance = {**header.provenance, "ended": time.time(), **more}
    return replace(header, numerics=numerics, provenance=provenance)
