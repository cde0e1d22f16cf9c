"""What analyses read: the trajectories of many runs in one embedding model, and their labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panic_hpc.errors import PanicError

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset


@dataclass(frozen=True, slots=True)
class RunLabels:
    """What is known of each run before it is run: arrays with an entry a run.

    network     str, its models joined by arrows
    generator   str, those of its models that make pictures
    captioner   str, those of its models that make texts
    prompt      str, the text that it begins with
    group       str, the prompt's paraphrase group, "" for none
    seed        int64
    noise       str, "fixed" or "per_step": whether steps of a run share their seed
    ended       str, "length", "loop", "failed" or "unknown"
    """

    network: NDArray[np.str_]
    generator: NDArray[np.str_]
    captioner: NDArray[np.str_]
    prompt: NDArray[np.str_]
    group: NDArray[np.str_]
    seed: NDArray[np.int64]
    noise: NDArray[np.str_]
    ended: NDArray[np.str_]

    @classmethod
    def of(cls, frame: Mapping[str, Any], n_runs: int | None = None) -> "RunLabels":
        """Take labels from a frame (polars, pandas) or a mapping of columns.

        Columns that it lacks are one level: "" for words, 0 for seeds, "per_step", "length".
        PanicError where columns differ in length.
        """
        # Frames of polars and pandas tell their columns by `columns`, mappings by themselves.
        known = set(getattr(frame, "columns", frame))
        own = [field.name for field in fields(cls)]
        given = {name: np.asarray(frame[name]) for name in own if name in known}
        lengths = {len(values) for values in given.values()} | ({n_runs} - {None})
        if len(lengths) != 1:
            raise PanicError(f"Labels of different numbers of runs: {sorted(map(str, lengths))}")
        (length,) = lengths
        blank = {"seed": 0, "noise": "per_step", "ended": "length"}
        columns = {n: given.get(n, np.full(length or 0, blank.get(n, ""))) for n in own}
        return cls(**{n: v.astype("i8" if n == "seed" else "U") for n, v in columns.items()})

    def __len__(self) -> int:
        return len(self.network)

    def select(self, runs: NDArray[Any]) -> "RunLabels":
        """Return the labels of some runs, by number or by mask."""
        return RunLabels(**{f.name: getattr(self, f.name)[runs] for f in fields(self)})


@dataclass(frozen=True)
class TrajectorySet:
    """The trajectories of runs in one embedding model; states are counted from 0 in each run.

    A state is an output that the embedding model reads: in a loop of a generator and a captioner
    every second step. Rows of `vectors` of one run are consecutive, in order of steps.

    vectors   (N, D) float32, may be a memory map; a row that is not finite is no state
    starts    (runs,) int64, the row of each run's first state
    lengths   (runs,) int64, its number of states
    labels    of the runs
    steps     (N,) int32, the step of each row's output in its run; None: rows count states
    prompts   (runs, D) float32, each run's embedded prompt, nan where it was not embedded
    model     name of the embedding model
    modality  what it reads, "text" or "image"
    texts     function from a run's number to its texts in order of steps; None where unknown
    dataset   where all this comes from, for analyses that ask for more; None for plain arrays

    Example:
        >>> labels = RunLabels.of({"network": names, "prompt": prompts, "seed": seeds})
        >>> found = TrajectorySet.of_array(embeddings, labels)      # (runs, states, dimensions)
        >>> found.of_run(3).mean(axis=0)
    """

    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: RunLabels
    steps: NDArray[np.int32] | None = None
    prompts: NDArray[np.float32] | None = None
    model: str = ""
    modality: str = "text"
    texts: Callable[[int], Sequence[str]] | None = None
    dataset: "Dataset | None" = None

    def __post_init__(self) -> None:
        if not len(self.starts) == len(self.lengths) == len(self.labels):
            raise PanicError(
                f"{len(self.starts)} trajectories, {len(self.lengths)} lengths and "
                f"{len(self.labels)} labels: they must be as many"
            )

    @classmethod
    def of_array(
        cls,
        array: ArrayLike,
        labels: RunLabels | Mapping[str, Any],
        lengths: ArrayLike | None = None,
        **more: Any,
    ) -> "TrajectorySet":
        """Take an array (runs, states, dimensions); `lengths` says where shorter runs end.

        Nothing is copied where it is float32 and contiguous, a memory map for instance. `more` are
        other fields.
        """
        vectors = np.asarray(array, dtype=np.float32)
        if vectors.ndim != 3:
            raise PanicError(f"Trajectories are (runs, states, dimensions), not {vectors.shape}")
        n_runs, n_states, n_dimensions = vectors.shape
        known = labels if isinstance(labels, RunLabels) else RunLabels.of(labels, n_runs)
        counts = np.full(n_runs, n_states) if lengths is None else np.asarray(lengths)
        starts = np.arange(n_runs, dtype=np.int64) * n_states
        rows = vectors.reshape(n_runs * n_states, n_dimensions)
        return cls(rows, starts, counts.astype(np.int64), known, **more)

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return len(self.starts)

    @property
    def n_dimensions(self) -> int:
        """Number of components of a vector."""
        return int(self.vectors.shape[1])

    def of_run(self, run: int) -> NDArray[np.float32]:
        """Return a run's states (T, D), a view."""
        return self.vectors[self.starts[run] : self.starts[run] + self.lengths[run]]

    def unit(self, run: int) -> NDArray[np.float32]:
        """Return a run's states scaled to length 1, nan where a state is missing or zero."""
        return unit_rows(self.of_run(run))

    def at(self, states: ArrayLike) -> NDArray[np.float32]:
        """Return unit vectors (runs, states, D) of some states of every run, nan where it has none.

        Read run after run: of a file larger than memory what lies far apart is fetched singly.
        """
        wanted = np.asarray(states, dtype=np.int64)
        found = np.full((self.n_runs, len(wanted), self.n_dimensions), np.nan, np.float32)
        for run in range(self.n_runs):
            inside = np.flatnonzero(wanted < self.lengths[run])
            found[run, inside] = unit_rows(self.vectors[self.starts[run] + wanted[inside]])
        return found

    def select(self, runs: ArrayLike) -> "TrajectorySet":
        """Return the set of some runs, by number or by mask; vectors are shared."""
        chosen = np.asarray(runs)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        texts = self.texts
        return TrajectorySet(
            vectors=self.vectors,
            starts=self.starts[chosen],
            lengths=self.lengths[chosen],
            labels=self.labels.select(chosen),
            steps=self.steps,
            prompts=None if self.prompts is None else self.prompts[chosen],
            model=self.model,
            modality=self.modality,
            texts=None if texts is None else lambda run: texts(int(chosen[run])),
            dataset=self.dataset,
        )

    def padded(self, n_states: int | None = None, every: int = 1) -> NDArray[np.float32]:
        """Return unit vectors (runs, states, D), nan behind a run's end: for what fits in memory.

        `n_states` states of each run, all where None; `every` n-th of them only.
        """
        most = int(self.lengths.max(initial=0)) if n_states is None else n_states
        kept = len(range(0, most, every))
        found = np.full((self.n_runs, kept, self.n_dimensions), np.nan, np.float32)
        for run in range(self.n_runs):
            states = unit_rows(self.of_run(run)[:most:every])
            found[run, : len(states)] = states
        return found


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors (…, D) scaled to length 1, nan where one is not finite or zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    with np.errstate(invalid="ignore"):
        scale = np.where(np.isfinite(lengths) & (lengths > 0), lengths, np.nan)
    return np.asarray(vectors / scale[..., None], dtype=np.float32)


def codes_of(values: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Return (a number for each value, the values by number in order of first appearance)."""
    levels, first, codes = np.unique(np.asarray(values), return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place[codes.ravel()].astype(np.int64), levels[order].tolist()
