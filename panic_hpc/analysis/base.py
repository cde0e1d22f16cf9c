"""What an analysis is: a name, a question, its settings, and a function from trajectories."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.analysis.answering import Answer, overall
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import AnalysisResult
from panic_hpc.analysis.trajectory_set import TrajectorySet

QUESTIONS = (
    "How did it get here?",
    "Is it stuck?",
    "Has it done this before?",
    "What matters most?",
)
"""Upstream's four."""
LEADS: Mapping[str, tuple[str, ...]] = {
    QUESTIONS[0]: ("prediction", "networks", "sensitivity"),
    QUESTIONS[1]: ("settling", "stationarity", "recurrence", "jumps", "loops", "periodicity"),
    QUESTIONS[2]: ("neighbours", "shared-attractors", "convergence", "run-distances"),
    QUESTIONS[3]: ("components", "places", "ladder", "drift-shares"),
}
"""Which answer a report opens with: of those with an interval the first analysis named here, of
those without one the same. Analyses that are not named come behind these, in their order."""


class AnalysisSettings(BaseModel):
    """What every analysis can be told; derive from it for more. All of it is part of cache keys.

    seed   of everything that is drawn
    level  of intervals
    draws  of bootstraps and permutations
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    level: float = Field(default=0.95, gt=0.5, lt=1.0)
    draws: int = Field(default=999, ge=19)


@dataclass(frozen=True, slots=True)
class Analysis:
    """An analysis as `panic-hpc analyse` finds it; a module of these ends in `PLUGINS = (…,)`.

    name       for the command line and for the folder of its results
    question   which of QUESTIONS it helps to answer, or another
    asks       in a sentence, what it tells
    function   from (TrajectorySet, settings) to AnalysisResult; a plain function of a module, since
               worker processes import it. It says in `not_done` what it could not do and why
    settings   class of its settings
    per_model  whether it is asked once an embedding model; else once, with no vectors
    needs      stages whose results it cannot do without: "diagrams"
    order      place among others, lowest first; which answer of a question leads is in LEADS
    answer     the report's hook: from what was found to the one sentence that answers the question,
               with its number and interval; None where what was found does not
    figures    the report's hook: what it draws of the tables
    """

    name: str
    question: str
    asks: str
    function: Callable[[TrajectorySet, Any], AnalysisResult]
    settings: type[AnalysisSettings] = AnalysisSettings
    per_model: bool = True
    needs: tuple[str, ...] = ()
    order: int = 100
    answer: Answer = overall
    figures: tuple[FigureSpec, ...] = ()
