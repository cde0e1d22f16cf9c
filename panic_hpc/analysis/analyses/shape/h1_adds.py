"""Does H1 add anything to the distances? The gain in skill on held-out prompts, negative or not."""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.answering import about
from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.estimators.shape.added import AddedSkill, added_skill
from panic_hpc.analysis.estimators.shape.bars import summarise_bars
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, units_of
from panic_hpc.analysis.results import AnalysisResult, Quantity, ResultTable, Statement
from panic_hpc.analysis.run_diagrams import RunDiagrams, RunDiagramSettings, run_diagrams
from panic_hpc.analysis.run_numbers import QUANTITIES, run_numbers
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of
from panic_hpc.errors import AnalysisError

_COLUMNS = (
    Quantity("outcome", "of a run, that is predicted", ""),
    Quantity("added", "features that are added to the distances", ""),
    Quantity("distances", "held-out R² of the distances alone; below 0: worse than the mean"),
    Quantity("both", "held-out R² of both"),
    Quantity("gain", "what the added features gain; negative: they cost"),
    Quantity("low", "lower bound of it, over prompts"),
    Quantity("high", "upper bound of it"),
    Quantity("prompts", "independent units, held out as wholes", "prompts"),
    Quantity("runs", "runs", "runs"),
)


def analyse_h1_adds(trajectories: TrajectorySet, settings: RunDiagramSettings) -> AnalysisResult:
    """Predict the network of a run, and its H1, from distances with and without diagrams."""
    gathered = Findings()
    rows: list[tuple[object, ...]] = []
    with gathered.part("h1 adds"):
        known = run_diagrams(trajectories, settings, gathered)
        if known.n_dimensions < 2:
            raise AnalysisError("no run has an H1")
        chosen = trajectories.select(known.runs)
        distances = _distances(chosen)
        h1 = _features(known, 1)
        asked = {
            "network": (_network_columns(chosen), h1, "H1"),
            "H1 total": (h1[:, 1], np.zeros((len(h1), 0)), "nothing"),
        }
        for outcome, (values, added, name) in asked.items():
            with gathered.part(outcome):
                skill = added_skill(
                    values, distances, added, chosen.labels.prompt, level=settings.level,
                    seed=settings.seed,
                )  # fmt: skip
                rows.append((outcome, name, skill.base, skill.both, skill.gain, skill.low,
                             skill.high, skill.n_prompts, skill.n_runs))  # fmt: skip
                gathered.statements.append(_statement(outcome, skill, settings.level))
    table = ResultTable.of_rows("h1_adds", "outcome", _COLUMNS, rows)
    return gathered.result([table], units_of(trajectories.labels))


def _distances(chosen: TrajectorySet) -> NDArray[np.float64]:
    """Return (runs, features) of the distances that every run has."""
    numbers = run_numbers(chosen)
    columns = [numbers[one.name] for one in QUANTITIES]
    # A distance that no run has, of prompts that were not embedded, must not drop all runs.
    kept = [column for column in columns if np.isfinite(column).any()]
    if not kept:
        raise AnalysisError("no run has two finite states")
    return np.stack(kept, axis=1)


def _features(known: RunDiagrams, dimension: int) -> NDArray[np.float64]:
    """Return (runs, 4) bars, total, longest, entropy; no bars are zeros, unfinished ones nan."""
    found = np.full((len(known.runs), 4), np.nan)
    for place, dgms in enumerate(known.dgms):
        if dimension < len(dgms):
            one = summarise_bars(dgms[dimension])
            entropy = one.entropy if np.isfinite(one.entropy) else 0.0
            found[place] = one.bars, one.total, one.longest, entropy
    return found


def _network_columns(chosen: TrajectorySet) -> NDArray[np.float64]:
    codes, names = codes_of(chosen.labels.network)
    return np.eye(len(names))[codes]


def _statement(outcome: str, skill: AddedSkill, level: float) -> Statement:
    if outcome == "network":
        said = (
            f"H1 adds {skill.gain:+z.3f} of R² "
            f"{between(skill.low, skill.high, level).strip()} to what distances say of a run's "
            f"network ({skill.base:z.3f}), whole prompts held out"
        )
        return Statement(
            outcome, said, skill.gain, skill.low, skill.high, level, "R²", skill.n_prompts,
            "prompts",
        )  # fmt: skip
    said = f"Distances alone predict the {outcome} with R² {skill.base:z.2f} on held-out prompts"
    return Statement(outcome, said, skill.base, unit="R²", n=skill.n_prompts, replication="prompts")


PLUGINS = (
    Analysis(
        name="h1-adds",
        question="What shape is it?",
        asks="whether loops (H1) say anything that distances do not say already",
        function=analyse_h1_adds,
        settings=RunDiagramSettings,
        order=430,
        answer=about("network"),
        figures=(
            FigureSpec(
                name="gain",
                table="h1_adds",
                form="intervals",
                title="What H1 adds to distances",
                caption="Gain of R² on held-out prompts; 0 (line): it adds nothing.",
                x="outcome",
                y="gain",
                series="added",
                reference=0.0,
                low="low",
                high="high",
            ),
        ),
    ),
)
