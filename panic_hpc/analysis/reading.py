"""Trajectory sets of a dataset: one an embedding model, or one without vectors."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.store.dataset.frames import network_names
from panic_hpc.store.results.runs import ENDED, NOISE
from panic_hpc.types import EMBEDDINGS, IMAGE, TEXT

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

PROMPT_STEP = -1
_TOGETHER = " + "


def trajectories(dataset: "Dataset", model: str = "") -> TrajectorySet:
    """Return what a dataset has in an embedding model: vectors as a memory map, and labels.

    Without a model there are labels and texts alone, and `lengths` counts the texts of each run.
    PanicError where the dataset has no embeddings of that model.
    """
    if not model:
        return _without_vectors(dataset)
    found = dataset.result(EMBEDDINGS, model)
    vectors, steps = found.column("vector"), found.column("step")
    edges = np.asarray(found.edges("embedding"), np.int64)
    has_prompt = _begins_with_prompt(edges, steps)
    starts = edges[:-1] + has_prompt
    return TrajectorySet(
        vectors=vectors,
        starts=starts,
        lengths=edges[1:] - starts,
        labels=labels(dataset),
        steps=steps,
        prompts=_prompts(vectors, edges, has_prompt),
        model=model,
        modality=_modality(dataset, model),
        texts=_texts(dataset),
        dataset=dataset,
    )


def labels(dataset: "Dataset") -> RunLabels:
    """Return the labels of a dataset's runs."""
    column = dataset.file.array
    networks, models = dataset.metadata["networks"], dataset.metadata["models"]
    generators = [_models_that_make(IMAGE, one, models) for one in networks]
    captioners = [_models_that_make(TEXT, one, models) for one in networks]
    network = column("runs/network")
    prompt = column("runs/prompt")
    texts = np.array(dataset.prompt_names() or [""])
    groups = np.array([*dataset.metadata["prompt_groups"], ""])[column("prompts/group")]
    return RunLabels.of(
        {
            "network": np.array(network_names(dataset))[network],
            "generator": np.array(generators)[network],
            "captioner": np.array(captioners)[network],
            "prompt": texts[prompt],
            "group": groups[prompt],
            "seed": column("runs/seed"),
            "noise": _words(column("runs/noise"), NOISE),
            "ended": _words(column("runs/ended"), ENDED),
        }
    )


def _words(codes: NDArray[Any], known: dict[str, int]) -> NDArray[Any]:
    # A later minor version may have codes that this one does not know.
    words = {code: word for word, code in known.items()}
    return np.array([words.get(code, "unknown") for code in codes.tolist()] or [], dtype="U16")


def _models_that_make(modality: str, network: Mapping[str, Any], models: list[Any]) -> str:
    """Return the names of a network's models that produce a modality, in its order."""
    rows = zip(network["names"], network["models"], strict=True)
    return _TOGETHER.join(name for name, row in rows if models[row].get("produces") == modality)


def _begins_with_prompt(edges: NDArray[Any], steps: NDArray[Any]) -> NDArray[np.int64]:
    """Return 1 for each run whose first row is its prompt, 0 for others."""
    found = np.zeros(len(edges) - 1, np.int64)
    known = np.flatnonzero(edges[1:] > edges[:-1])
    found[known] = steps[edges[known]] == PROMPT_STEP
    return found


def _prompts(
    vectors: NDArray[Any], edges: NDArray[Any], has_prompt: NDArray[Any]
) -> NDArray[np.float32] | None:
    rows = np.flatnonzero(has_prompt)
    if len(rows) == 0:
        return None
    found = np.full((len(has_prompt), vectors.shape[1]), np.nan, np.float32)
    found[rows] = vectors[edges[rows]]
    return found


def _modality(dataset: "Dataset", model: str) -> str:
    """Return what an embedding model reads."""
    of_model = (one for one in dataset.metadata["models"] if one["name"] == model)
    return next((str(one.get("consumes", "unknown")) for one in of_model), "unknown")


def _texts(dataset: "Dataset") -> Callable[[int], list[str]]:
    def of_run(run: int) -> list[str]:
        return list(dataset.texts(run).values())

    return of_run


def _without_vectors(dataset: "Dataset") -> TrajectorySet:
    lengths = _text_counts(dataset)
    return TrajectorySet(
        vectors=np.empty((int(lengths.sum()), 0), np.float32),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        labels=labels(dataset),
        texts=_texts(dataset),
        dataset=dataset,
    )


def _text_counts(dataset: "Dataset") -> NDArray[np.int64]:
    """Return the number of texts of each run."""
    edges = dataset.file.slice("runs/offsets", 0, dataset.n_runs + 1)
    made_at = dataset.file.array("texts/invocation")
    return np.diff(np.searchsorted(made_at, edges)).astype(np.int64)
