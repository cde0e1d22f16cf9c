"""Questions asked of trajectories, by the command line or in a notebook.

from panic_hpc.analysis import TrajectorySet, RunLabels, analysis

labels = {"network": …, "prompt": …, "seed": …}
found = TrajectorySet.of_array(embeddings, labels, texts=texts_of_run)
result = analysis("loops", found, level=0.9)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panic_hpc.analysis.base import Analysis, AnalysisSettings
    from panic_hpc.analysis.figure_spec import FigureSpec
    from panic_hpc.analysis.reading import trajectories
    from panic_hpc.analysis.results import (
        AnalysisResult,
        HypothesisTest,
        NotDone,
        Quantity,
        ResultTable,
        Statement,
        refused,
    )
    from panic_hpc.analysis.running import AnalysisRequest, analyse
    from panic_hpc.analysis.simulation.planted import Planted
    from panic_hpc.analysis.simulation.simulated import simulate
    from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet

_PLACES = {
    "base": ("Analysis", "AnalysisSettings"),
    "figure_spec": ("FigureSpec",),
    "reading": ("trajectories",),
    "results": (
        "AnalysisResult", "HypothesisTest", "NotDone", "Quantity", "ResultTable", "Statement",
        "refused",
    ),
    "running": ("AnalysisRequest", "analyse"),
    "simulation.planted": ("Planted",),
    "simulation.simulated": ("simulate",),
    "trajectory_set": ("RunLabels", "TrajectorySet"),
}  # fmt: skip
_HOME = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "Analysis",
    "AnalysisRequest",
    "AnalysisResult",
    "AnalysisSettings",
    "FigureSpec",
    "HypothesisTest",
    "NotDone",
    "Planted",
    "Quantity",
    "ResultTable",
    "RunLabels",
    "Statement",
    "TrajectorySet",
    "analyse",
    "analysis",
    "refused",
    "simulate",
    "trajectories",
]


def analysis(name: str, trajectories: "TrajectorySet", **settings: Any) -> "AnalysisResult":
    """Return what an installed analysis finds in trajectories of one's own.

    `settings` are its own. PanicError where there is no such analysis, ConfigError for settings.
    """
    from panic_hpc import installed
    from panic_hpc.analysis.settings import settings_of

    plugin: Analysis = installed.plugin("analyses", name)
    return plugin.function(trajectories, settings_of(plugin, settings))


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: the command line needs none of it to start.
    if name in _HOME:
        return getattr(importlib.import_module(f"panic_hpc.analysis.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
