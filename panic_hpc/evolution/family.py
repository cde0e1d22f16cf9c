"""Families: an individual's ancestors as members of a tree, with pictures and what they say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError, nearest
from panic_hpc.evolution.driving import Generation
from panic_hpc.evolution.genome import Individual
from panic_hpc.evolution.progress import ancestors, kin_of
from panic_hpc.evolution.ranking import runs_of_round
from panic_hpc.evolution.rounds import GenerationPaths, asked_of, everybody_of, spoken_of
from panic_hpc.evolution.series_file import SeriesPlan
from panic_hpc.report.family_tree import Member
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.workspace.workspace import open_workspace

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

Picture = NDArray[np.uint8]


def best_of(rounds: Sequence[Generation]) -> str:
    """Return the id of the best individual of the last round that is ranked."""
    ranked = [one.ranking for one in rounds if one.ranking]
    if not ranked:
        raise PanicError("No round is ranked yet", hint="panic-hpc series advance runs the first")
    return ranked[-1].bred[0].id


def family_of(
    root: Path, plan: SeriesPlan, rounds: Sequence[Generation], name: str, generations: int
) -> list[Member]:
    """Return an individual and its ancestors of so many generations, parents before children.

    Each with a picture of the round that it was born in, where it has one, and its value there.
    PanicError where nobody is called so.
    """
    arms = tuple(dict.fromkeys(arm for one in rounds for arm in one.people))
    kin = kin_of(rounds, arms)
    if name not in kin:
        raise PanicError(f"There is no individual {name!r}", hint=nearest(name, kin))
    oldest = kin[name].born - generations
    known = {one for one in ancestors(kin, name) if kin[one].born >= oldest}
    pictures = pictures_of(root, plan, rounds, known)
    first = min(kin[one].born for one in known)
    return [
        Member(
            id=one.id,
            row=one.born - first,
            parents=one.parents,
            beneath="" if one.value is None else f"{one.value:.3g}",
            image=pictures.get(one.id),
        )
        for one in kin.values()
        if one.id in known
    ]


def labels_of(
    plan: SeriesPlan, rounds: Sequence[Generation], members: Sequence[Member]
) -> Mapping[str, dict[str, Any]]:
    """Return what a graph says of members beside their ids: text, value, mutations."""
    born = _births(rounds)
    found: dict[str, dict[str, Any]] = {}
    for one in members:
        if one.id in born:
            number, individual = born[one.id]
            changes = [f"{m.locus} {m.to}" for m in individual.mutations]
            said = spoken_of(plan, individual, number).text
            found[one.id] = {"text": said, "value": one.beneath, "mutations": "; ".join(changes)}
    return found


def pictures_of(
    root: Path, plan: SeriesPlan, rounds: Sequence[Generation], names: set[str]
) -> dict[str, Picture]:
    """Return a picture of each individual from the round it was born in, where that has one."""
    born = _births(rounds)
    found: dict[str, Picture] = {}
    for one in rounds:
        own = [name for name in names if name in born and born[name][0] == one.number]
        if own and one.ranking:
            found |= _pictures_of_round(root, plan, one, own)
    return found


def _births(rounds: Sequence[Generation]) -> dict[str, tuple[int, Individual]]:
    """Return the round in which somebody was first there, and who that is, by id."""
    found: dict[str, tuple[int, Individual]] = {}
    for one in rounds:
        for individual in everybody_of(one.people):
            found.setdefault(individual.id, (one.number, individual))
    return found


def _pictures_of_round(
    root: Path, plan: SeriesPlan, found: Generation, names: Sequence[str]
) -> dict[str, Picture]:
    workspace = open_workspace(GenerationPaths(root, found.number).experiment)
    asked = asked_of(plan, everybody_of(found.people), found.number)
    pictures = {}
    with open_dataset(workspace.paths.dataset) as dataset:
        runs = runs_of_round(workspace.manifest, dataset)
        for name in names:
            rows = [row for own in runs.of(asked.places[name]) for row in own]
            shown = (_last_picture(dataset, row) for row in rows)
            picture = next((one for one in shown if one is not None), None)
            if picture is not None:
                pictures[name] = picture
    return pictures


def _last_picture(dataset: "Dataset", row: int) -> Picture | None:
    steps = dataset.image_steps(row)
    return dataset.image(row, steps[-1]) if steps else None
