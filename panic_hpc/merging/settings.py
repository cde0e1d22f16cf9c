"""Settings of homology, which no key covers: diagrams made differently are not put together.

What decides runs and embeddings is in the keys of networks and models, so such runs stand side by
side as different ones. A budget may differ: what it stopped says so itself.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from panic_hpc.errors import ConflictError
from panic_hpc.merging.run_sources import Source
from panic_hpc.merging.unify import ExperimentInfo
from panic_hpc.types import DIAGRAMS

HOMOLOGY = ("metric", "maxdim", "thresh", "engine", "surrogates")


def differences(one: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return in words where two settings differ, "" where they do not."""
    return ", ".join(
        f"{name} is {one.get(name)} and {other.get(name)}"
        for name in names
        if one.get(name) != other.get(name)
    )


def require_like_diagrams(experiments: Sequence[ExperimentInfo], sources: Sequence[Source]) -> None:
    """Raise ConflictError where a model's diagrams come from differing settings of homology."""
    # Neighbours in sorted order suffice: being alike carries over from one to the next.
    found = dict.fromkeys((s.model, s.experiment) for s in sources if s.stage == DIAGRAMS)
    for (model, first), (other_model, second) in pairwise(sorted(found)):
        one, other = (experiments[number] for number in (first, second))
        said = differences(_homology(one), _homology(other), HOMOLOGY)
        if model == other_model and said:
            raise ConflictError(
                f"Diagrams of {model} were made differently in {one.source} and {other.source}: "
                f"{said}",
                hint="Merge these experiments into different datasets",
            )


def _homology(experiment: ExperimentInfo) -> Mapping[str, Any]:
    value: Mapping[str, Any] = experiment.config.get("homology") or {}
    return value
