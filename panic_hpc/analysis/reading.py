"""Trajectory sets of a dataset: one an embedding model, or one without vectors."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.trajectory_set import RunLabels, TrajectorySet
from panic_hpc.store.format.column import MODALITIES
from panic_hpc.store.results.runs import ENDED, NOISE
from panic_hpc.types import EMBEDDINGS, IMAGE, TEXT

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

PROMPT_STEP = -1
_ARROW = " → "
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
    modality = _modality(dataset, edges, steps, has_prompt)
    return TrajectorySet(
        vectors=vectors,
        starts=starts,
        lengths=edges[1:] - starts,
        labels=labels(dataset),
        steps=steps,
        prompts=_prompts(vectors, edges, has_prompt),
        model=model,
        modality=modality,
        texts=_texts(dataset),
        dataset=dataset,
    )


def labels(dataset: "Dataset") -> RunLabels:
    """Return the labels of a dataset's runs."""
    column = dataset.file.array
    networks = dataset.metadata["networks"]
    roles = [_roles(network["names"], dataset, row) for row, network in enumerate(networks)]
    network = column("runs/network")
    prompt = column("runs/prompt")
    texts = np.array(dataset.prompt_texts() or [""])
    groups = np.array([*dataset.metadata["prompt_groups"], ""])[column("prompts/group")]
    return RunLabels.of(
        {
            "network": np.array([_ARROW.join(n["names"]) for n in networks])[network],
            "generator": np.array([role[0] for role in roles])[network],
            "captioner": np.array([role[1] for role in roles])[network],
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


def _roles(names: list[str], dataset: "Dataset", network: int) -> tuple[str, str]:
    """Return (generators, captioners) of a network, by what its first run's invocations made."""
    runs = np.flatnonzero(dataset.file.array("runs/network") == network)
    spans = (dataset.span(int(run)) for run in runs)
    longest = max(spans, key=lambda span: span[1] - span[0], default=(0, 0))
    first, last = longest[0], min(longest[1], longest[0] + len(names))
    made = dataset.file.slice("invocations/modality", first, last).tolist()
    by_modality: dict[int, list[str]] = {}
    for name, modality in zip(names, made, strict=False):
        by_modality.setdefault(modality, []).append(name)
    generators = by_modality.get(MODALITIES[IMAGE], [])
    return _TOGETHER.join(generators), _TOGETHER.join(by_modality.get(MODALITIES[TEXT], []))


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


def _modality(
    dataset: "Dataset", edges: NDArray[Any], steps: NDArray[Any], has_prompt: NDArray[Any]
) -> str:
    """Return what the embedding model reads, by the first output that it embedded."""
    for run in range(len(edges) - 1):
        first = int(edges[run] + has_prompt[run])
        if first < edges[run + 1]:
            row = dataset.span(run)[0] + int(steps[first])
            code = int(dataset.file.slice("invocations/modality", row, row + 1)[0])
            return next((word for word, c in MODALITIES.items() if c == code), "unknown")
    return "unknown"


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
