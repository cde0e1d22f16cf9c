"""From the activations of a dataset to the prototypes of two groups of prompts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import PanicError, nearest
from panic_hpc.models.steering.fitting import Separation, prototype_of, separation
from panic_hpc.models.steering.prototypes import Header, Prototypes
from panic_hpc.models.steering.weights import weights_of
from panic_hpc.store.dataset.frames import models_of_shards
from panic_hpc.store.results.activations import ACTIVATIONS, LOCATION_CODES

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

Place = tuple[str, int]
"""Location and layer."""


class Class(NamedTuple):
    """The vectors of one group by place, (n, P, D) in order of runs, and the prompt of each."""

    vectors: Mapping[Place, NDArray[np.float32]]
    prompts: NDArray[np.int64]


class Fitted(NamedTuple):
    """Prototypes of two groups, and how well each place separates prompts that were held out."""

    prototypes: Prototypes
    separations: Mapping[Place, Separation]


def fit(dataset: "Dataset", classes: tuple[str, str], model: str = "") -> Fitted:
    """Return the prototypes of two groups of prompts: away from the first, towards the second.

    1. Of each run of a group the first picture of the model is taken: later ones of a loop are of
    what became of the prompt. 2. Means are over runs in their order. PanicError where a group, or
    the activations, are not there.
    """
    name = _model(dataset, model)
    found = [_class(dataset, name, group) for group in classes]
    first, second = found
    places = sorted(set(first.vectors) & set(second.vectors))
    fitted = {place: prototype_of(first.vectors[place], second.vectors[place]) for place in places}
    judged = {
        place: separation(
            (first.vectors[place], second.vectors[place]), (first.prompts, second.prompts)
        )
        for place in places
    }
    header = Header(
        model=name,
        weights=dict(weights_of(_identity(dataset, name))),
        classes=classes,
        n_prompts=(len(np.unique(first.prompts)), len(np.unique(second.prompts))),
        n_vectors=(len(first.prompts), len(second.prompts)),
        source=str(dataset.content_key),
    )
    return Fitted(Prototypes(header, fitted), judged)


def _model(dataset: "Dataset", model: str) -> str:
    known = dataset.models_of(ACTIVATIONS)
    if not known:
        raise PanicError(
            f"{dataset.path} has no activations",
            hint='Put capture = { models = ["…"] } into its experiment, and run it anew',
        )
    if model and model not in known:
        raise PanicError(f"{model!r} was not captured", hint=nearest(model, known))
    if not model and len(known) > 1:
        raise PanicError(f"Several models were captured: {', '.join(known)}", hint="Give --model")
    return model or known[0]


def _identity(dataset: "Dataset", model: str) -> Mapping[str, Any]:
    """Return what decides the model's outputs, as the shards' provenance has it."""
    for models in models_of_shards(dataset, ACTIVATIONS):
        if model in models:
            return models[model]
    raise PanicError(f"{dataset.path} does not say of what weights its activations are")


def _class(dataset: "Dataset", model: str, group: str) -> Class:
    runs = _runs_of(dataset, group)
    result = dataset.result(ACTIVATIONS, model)
    codes = {code: word for word, code in LOCATION_CODES.items()}
    vectors: dict[Place, list[NDArray[np.float32]]] = {}
    prompts = []
    of_prompt = dataset.file.whole("runs/prompt")
    for run in runs:
        own = result.of_run(run)
        first = own["step"] == own["step"].min(initial=2**31 - 1)
        if not first.any():
            continue
        prompts.append(int(of_prompt[run]))
        for place, rows in _by_place(own, first, codes).items():
            vectors.setdefault(place, []).append(rows)
    if not prompts:
        raise PanicError(f"No run of group {group!r} has activations of {model}")
    return Class({p: np.stack(rows) for p, rows in vectors.items()}, np.array(prompts, np.int64))


def _by_place(
    own: Mapping[str, NDArray[Any]], wanted: NDArray[np.bool_], codes: Mapping[int, str]
) -> dict[Place, NDArray[np.float32]]:
    """Return (P, D) of one picture by place; rows are in order of location, layer and pass."""
    found: dict[Place, list[NDArray[np.float32]]] = {}
    for row in np.flatnonzero(wanted):
        place = (codes[int(own["location"][row])], int(own["layer"][row]))
        start, stop = own["offsets"][row : row + 2]
        found.setdefault(place, []).append(own["values"][start:stop])
    return {place: np.stack(rows) for place, rows in found.items()}


def _runs_of(dataset: "Dataset", group: str) -> Sequence[int]:
    groups = dataset.prompts()["group"].to_list()
    if group not in groups:
        known = sorted(set(filter(None, groups)))
        hint = nearest(group, known) or f"There are {', '.join(known) or 'none'}"
        raise PanicError(f"No prompt is of group {group!r}", hint=hint)
    inside = np.isin(
        dataset.file.whole("runs/prompt"), [row for row, own in enumerate(groups) if own == group]
    )
    return [int(run) for run in np.flatnonzero(inside)]
