"""Persistence diagrams of point clouds: Python API and native core.

>>> from panic_hpc.homology import diagrams
>>> diagrams([[0, 0], [3, 4]], maxdim=0).dgms[0].tolist()
[[0.0, 5.0], [0.0, inf]]
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panic_hpc.homology.api import Diagrams, Record, diagrams

__all__ = ["Diagrams", "Record", "diagrams"]


def __getattr__(name: str) -> Any:
    # On demand, because the planner asks `homology.cost` on machines without numpy's weight.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("panic_hpc.homology.api"), name)
