"""The headers of shard files: what a shard is, where its content comes from, in what numerics."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from panic_hpc import clock
from panic_hpc.stages.base import Context
from panic_hpc.store.format.shard import ShardHeader
from panic_hpc.store.journal import Journal
from panic_hpc.types import ModelSpec, Shard


def begin_header(
    context: Context,
    shard: Shard,
    numerics: Mapping[str, Any],
    models: Iterable[tuple[ModelSpec, Any]] = (),
) -> ShardHeader:
    """Return the header of a shard whose work begins now; `models` are given as loaded."""
    provenance = {
        "started": clock.now(),
        # When this attempt began: earlier ones of a resumed shard are in its invocations' own
        # times.
        **context.provenance,
        "device": context.device,
        "models": {spec.name: _described(spec, model) for spec, model in models},
    }
    key = context.manifest.key
    return ShardHeader(shard.stage, shard.index, shard.model, key, numerics, provenance)


def _described(spec: ModelSpec, model: Any) -> dict[str, Any]:
    """Return a model's identity, and what it found out on loading where it says so."""
    return {**spec.identity(), "loaded": getattr(model, "details", {})}


def finish_header(
    context: Context, header: ShardHeader, journal: Journal, **more: Any
) -> ShardHeader:
    """Return `header` with the end of the work and every numerics class that had a part in it.

    Energy is that of this attempt, as its start and end are: workers' logs have all attempts'.
    """
    classes = journal.numerics
    # Several only where --allow-other-numerics was given; the bits then belong to no one class.
    numerics = classes[0] if len(classes) == 1 else {"classes": classes}
    energy = dict(context.energy())
    told = {"energy": energy} if energy else {}
    provenance = {**header.provenance, "ended": clock.now(), **told, **more}
    return replace(header, numerics=numerics, provenance=provenance)
