"""A page on which people compare the individuals of a round."""

from pathlib import Path

from panic_hpc.errors import PanicError
from panic_hpc.evolution.driving import begun, people_of
from panic_hpc.evolution.ranking import arms_of_individuals, runs_of_round
from panic_hpc.evolution.rounds import BRED, GenerationPaths, asked_of, everybody_of
from panic_hpc.evolution.series_file import SeriesPlan
from panic_hpc.report.voting.voting_page import voting_page
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.voting.questions import questions_on
from panic_hpc.workspace.workspace import open_workspace


def page_of_round(root: Path, plan: SeriesPlan, most: int, asked: str) -> tuple[Path, bytes]:
    """Return the dataset of the round that was merged last, and a page that compares its people.

    Those of the control are not asked about. PanicError where no round is merged.
    """
    numbers = [k for k in begun(root, plan) if GenerationPaths(root, k).dataset.exists()]
    if not numbers:
        raise PanicError("No round is merged", hint=f"panic-hpc series advance {root} runs one")
    number = numbers[-1]
    people = people_of(root, plan, number)
    runs_asked = asked_of(plan, everybody_of(people), number)
    workspace = open_workspace(GenerationPaths(root, number).experiment)
    with open_dataset(workspace.paths.dataset) as dataset:
        runs = runs_of_round(workspace.manifest, dataset)
        names = [one.id for one in people[BRED]]
        arms = arms_of_individuals(dataset, runs_asked, runs, names)
        page = voting_page(
            questions_on([arm for arm in arms if arm.rows], most, seed=plan.series.seed + number),
            dataset.content_key,
            title=f"{root.absolute().name}, round {number + 1}",
            asked=asked,
            is_served=False,
        )
    return workspace.paths.dataset, page
