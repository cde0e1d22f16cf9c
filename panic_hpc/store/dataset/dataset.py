"""A dataset opened for reading: frames of its tables, and what each run produced.

Opening reads one header, whatever the size. Everything else is read by position when it is asked
for, so a Dataset can be used from threads and forked processes, pickled to others, and goes on
reading the file it opened when that is replaced.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.closing import Closing
from panic_hpc.errors import PanicError, ShardError
from panic_hpc.pictures.stored import decoded
from panic_hpc.store.dataset import frames
from panic_hpc.store.dataset.bulk import Result
from panic_hpc.store.dataset.metadata import read_metadata
from panic_hpc.store.dataset.outputs import output_rows, prompt_names, prompt_pictures, read_texts
from panic_hpc.store.format.column import OUTPUT_GROUPS
from panic_hpc.store.format.header import DATASET
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.section import Section, dataset_sections
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, TEXT

if TYPE_CHECKING:
    import polars as pl

    from panic_hpc.store.dataset.torch_dataset import Trajectories

Run = int | str


def open_dataset(path: str | Path) -> "Dataset":
    """Open a dataset; ShardError where it is absent, damaged, newer or something else."""
    return Dataset(Path(path))


class Dataset(Closing):
    """One dataset. A run is named by its row or by its key; rows follow `runs()`."""

    def __init__(self, path: Path) -> None:
        """Open `path` and check its header."""
        self.file = ArrayFile(path)
        if self.file.kind != DATASET:
            self.file.close()
            raise ShardError(f"{path} is not a dataset but a {self.file.kind}")

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def content_key(self) -> str:
        """Key of the scientific content: equal for equal results, whatever made them."""
        return str(self.file.header["content_key"])

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return self.file.rows("runs/key")

    @cached_property
    def metadata(self) -> Mapping[str, Any]:
        """Experiments, models, networks, prompt groups, and shards that were missing."""
        return read_metadata(self.file)

    @property
    def embedding_models(self) -> tuple[str, ...]:
        """Names of the embedding models that have embeddings or diagrams here."""
        return tuple(self.metadata["embedding_models"])

    def runs(
        self,
        *,
        network: int | str | None = None,
        prompt: int | str | None = None,
        seed: int | None = None,
        experiment: int | str | None = None,
    ) -> "pl.DataFrame":
        """Return a row a run, those that match: `run` is its row here, for the other methods.

        A network is named by row or by its models joined by " → ", a prompt by row or text, an
        experiment by row or name. PanicError where there is no such thing.
        """
        return frames.runs(self, network, prompt, seed, experiment)

    def networks(self) -> "pl.DataFrame":
        """Return a row a network: its key, name and models."""
        return frames.networks(self)

    def prompts(self) -> "pl.DataFrame":
        """Return a row a prompt: its text and paraphrase group."""
        return frames.prompts(self)

    def members(self) -> "pl.DataFrame":
        """Return a row for each run of each experiment: which run of the dataset it is."""
        return frames.members(self)

    def shards(self) -> "pl.DataFrame":
        """Return a row a shard: its stage, and as JSON its numerics class and provenance."""
        return frames.shards(self)

    def invocations(self, run: Run | None = None) -> "pl.DataFrame":
        """Return a row an invocation of `run`, of all runs where None."""
        return frames.invocations(self, run)

    def row(self, run: Run) -> int:
        """Return the row of a run given by row or key; PanicError where there is none."""
        if isinstance(run, str):
            rows = np.flatnonzero(self._keys == run.encode())
            if len(rows) == 0:
                raise PanicError(f"{self.path} has no run with key {run}")
            return int(rows[0])
        if not -self.n_runs <= run < self.n_runs:
            raise PanicError(f"{self.path} has {self.n_runs} runs, none is number {run}")
        return int(run) % self.n_runs

    @cached_property
    def _keys(self) -> NDArray[Any]:
        return self.file.slice("runs/key", 0, self.n_runs)

    def span(self, run: Run) -> tuple[int, int]:
        """Return the rows of a run's invocations: first and one after the last."""
        row = self.row(run)
        first, last = self.file.slice("runs/offsets", row, row + 2).tolist()
        return first, last

    def results(self) -> list[tuple[str, str]]:
        """Return the (stage, embedding model) of all that `result` gives here; "" for no model."""
        return [(section.kind.stage, section.model) for section in dataset_sections(self.file)]

    def result(self, stage: str, model: str = "") -> Result:
        """Return what is here of a stage and embedding model, a run's or all of it at once.

        Of any stage that is installed. PanicError where the dataset has nothing of it.

        Example:
            >>> vectors = dataset.result("embeddings", "MicroText").column("vector")
        """
        found = Section(self.file, kind_of(stage), model, in_dataset=True)
        if (stage, model) not in self.results():
            known = ", ".join(" of ".join(filter(None, pair)) for pair in self.results())
            raise PanicError(f"{self.path} has no {found}", hint=f"It has {known}")
        return Result(self, found)

    def trajectory(self, run: Run, model: str) -> NDArray[np.float32]:
        """Return the run's embeddings in step order, without the prompt: (T, D) float32."""
        # Steps ascend (rule S05) and the prompt's is -1, so that it can only be the first row.
        steps, vectors = self.embeddings(run, model)
        return vectors[np.searchsorted(steps, 0) :]

    def embeddings(self, run: Run, model: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return (steps, vectors) of a run; the prompt, where it was embedded, is step -1."""
        group, row = self._group(EMBEDDINGS, model), self.row(run)
        first, last = self.file.slice(f"{group}/offsets", row, row + 2).tolist()
        steps = self.file.slice(f"{group}/step", first, last)
        return steps, self.file.slice(f"{group}/vector", first, last)

    def diagrams(self, run: Run, model: str) -> list[NDArray[np.float32]]:
        """Return the persistence diagrams (n, 2) of the homology dimensions that were finished.

        PanicError, with the reason, where the run has none.
        """
        group, row = self._group(DIAGRAMS, model), self.row(run)
        n_dimensions = self.file.entry(f"{group}/entropy").shape[1]
        complete = int(self.file.slice(f"{group}/complete_dimensions", row, row + 1)[0])
        if complete == 0:
            raise PanicError(f"Run {run} has no diagrams: {self.reason(row, model)}")
        first = row * n_dimensions
        # Unfinished dimensions are empty in the file; to return them would say "no features".
        edges = self.file.slice(f"{group}/offsets", first, first + complete + 1).tolist()
        bars = self.file.slice(f"{group}/bars", edges[0], edges[-1])
        return np.split(bars, np.array(edges[1:-1]) - edges[0])

    def reason(self, run: Run, model: str) -> str:
        """Return why a run's diagram was skipped, stopped or failed, "" where it was computed."""
        group, row = self._group(DIAGRAMS, model), self.row(run)
        is_missing = int(self.file.slice(f"{group}/shard", row, row + 1)[0]) < 0
        told = read_texts(self.file, f"{group}/reasons", row, row + 1)[0]
        return told or ("its shard is missing" if is_missing else "")

    def entropy(self, run: Run, model: str) -> NDArray[np.float64]:
        """Return the persistence entropy by homology dimension, nan where it was not finished."""
        group, row = self._group(DIAGRAMS, model), self.row(run)
        return np.asarray(self.file.slice(f"{group}/entropy", row, row + 1)[0])

    def null_models(self, run: Run, model: str) -> dict[str, NDArray[np.float64]]:
        """Return (surrogate, homology dimension, statistic) by null model, {} where none was asked.

        Statistics are persistence entropy, total and longest persistence of the bars that die.
        """
        group, row = self._group(DIAGRAMS, model), self.row(run)
        name = f"{group}/surrogates/statistics"
        if name not in self.file:
            return {}
        codes = kind_of(DIAGRAMS).by_name["surrogates/statistics"].codes
        found = self.file.slice(name, row, row + 1)[0]
        return {word: found[code] for word, code in codes.items() if code < len(found)}

    @property
    def metrics(self) -> Mapping[str, tuple[str, ...]]:
        """The metrics that have scores here, and what the numbers of each are called."""
        return frames.metrics(self)

    def scores(self, metric: str) -> "pl.DataFrame":
        """Return a row a score of a metric: run, step, its components, and why it failed if so."""
        return frames.scores(self, metric)

    def texts(self, run: Run) -> dict[int, str]:
        """Return a run's texts by step."""
        rows, steps = self._outputs(run, TEXT)
        return dict(zip(steps, read_texts(self.file, "texts", *rows), strict=True))

    def image_steps(self, run: Run) -> list[int]:
        """Return the steps of a run whose images were kept."""
        return self._outputs(run, IMAGE)[1]

    def image_bytes(self, run: Run, step: int) -> bytes:
        """Return an image as it is stored; PanicError where the step has none."""
        rows, steps = self._outputs(run, IMAGE)
        if step not in steps:
            raise PanicError(f"Run {run} has no image at step {step}, but at {steps[:12]}")
        at = rows[0] + steps.index(step)
        first, last = self.file.slice("images/offsets", at, at + 2).tolist()
        return self.file.slice("images/values", first, last).tobytes()

    def image(self, run: Run, step: int) -> NDArray[np.uint8]:
        """Return an image as (H, W, 3) uint8; ShardError where it is not one as they are stored."""
        try:
            return decoded(self.image_bytes(run, step))
        except ValueError as error:
            raise ShardError(f"{self.path}: image of run {run}, step {step}: {error}") from error

    def torch(self, model: str, runs: Sequence[Run] | None = None) -> "Trajectories":
        """Return the trajectories as a torch Dataset, safe with any number of loader workers."""
        from panic_hpc.store.dataset.torch_dataset import Trajectories

        return Trajectories(self, model, runs)

    def _group(self, stage: str, model: str) -> str:
        if f"{stage}/{model}/digest" not in self.file:
            known = ", ".join(self.models_of(stage)) or "no model at all"
            raise PanicError(
                f"{self.path} has no {stage} of model {model!r}", hint=f"It has those of {known}"
            )
        return f"{stage}/{model}"

    def _outputs(self, run: Run, modality: str) -> tuple[tuple[int, int], list[int]]:
        """Return (first row, one after the last) in the modality's table, and their steps."""
        first, last = self.span(run)
        start, stop = output_rows(self.file, modality, first, last)
        if start == stop:
            return (start, stop), []
        rows = self.file.slice(f"{OUTPUT_GROUPS[modality]}/invocation", start, stop)
        return (start, stop), (rows - first).tolist()

    def models_of(self, stage: str) -> list[str]:
        """Return the embedding models, or metrics, that have results of a stage here."""
        return sorted(m for s, m in self.results() if s == stage and m)

    def prompt_texts(self) -> list[str]:
        """Return all prompts, by row."""
        return read_texts(self.file, "prompts", 0, self.file.rows("prompts/group"))

    def prompt_names(self) -> list[str]:
        """Return what prompts are called, no two alike: texts, or names of pictures before them."""
        return prompt_names(self.file, self.metadata)

    def prompt_pictures(self, prompt: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of a prompt, by row, as (H, W, 3) uint8 by role; {} without any."""
        own = prompt_pictures(self.file, self.metadata, prompt)
        return {role: pixels for _, role, pixels in own}

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # A descriptor does not travel. The checksum does, so that a loader's workers never read
        # two different datasets of one name.
        return _reopen, (self.path, self.file.header_sha256)

    def __repr__(self) -> str:
        return f"<Dataset {self.path}: {self.n_runs} runs, content {self.content_key}>"


def _reopen(path: Path, header_sha256: str) -> Dataset:
    dataset = Dataset(path)
    if dataset.file.header_sha256 != header_sha256:
        dataset.close()
        raise ShardError(f"{path} was replaced by another dataset in the meantime")
    return dataset
