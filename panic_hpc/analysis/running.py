"""Running analyses on a dataset: in worker processes, cached; one that fails costs only itself."""

import hashlib
import inspect
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from panic_hpc import clock, installed
from panic_hpc.analysis.base import Analysis
from panic_hpc.analysis.records import (
    AnalysisRecord,
    analyses_directory,
    folder_of,
    read_record,
    write_record,
    write_tests,
)
from panic_hpc.analysis.results import AnalysisResult, refused
from panic_hpc.analysis.scripts import load_script
from panic_hpc.analysis.settings import settings_of
from panic_hpc.errors import AnalysisError, Interrupted, PanicError, ShardError
from panic_hpc.keys import content_key
from panic_hpc.memory import memory_bytes
from panic_hpc.store.dataset.dataset import Dataset, open_dataset
from panic_hpc.types import EMBEDDINGS
from panic_hpc.versions import versions_of

_LIBRARIES = ("panic-hpc", "numpy", "scipy", "scikit-learn", "statsmodels", "polars")
BYTES_A_WORKER = 3 * 2**30
"""What no analysis goes beyond: they read states in parts and sample what they compare in pairs."""
Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class AnalysisTask:
    """One analysis of one embedding model ("" for none), where it goes, and its key.

    content_key is of the dataset that all tasks of one call are of.
    """

    analysis: str
    model: str
    settings: Mapping[str, Any]
    folder: Path
    key: str
    content_key: str
    script: Path | None = None


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """What `analyse` is asked.

    names      of analyses; () for all that are installed
    settings   by analysis: {"loops": {"draws": 199}}
    models     embedding models; () for all that the dataset has
    script     a file of one's own with analyses, which are added
    directory  for results, None: beside the dataset
    workers    processes; 0: as many as there are cores, and memory for
    fresh      whether to compute what is there already
    """

    names: Sequence[str] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    models: Sequence[str] = ()
    script: Path | None = None
    directory: Path | None = None
    workers: int = 0
    fresh: bool = False


def analyse(
    path: Path, request: AnalysisRequest | None = None, report: Report = lambda done, total: None
) -> list[AnalysisRecord]:
    """Run analyses of a dataset and return their records, in order of the analyses.

    An analysis that raises has a record with its error. PanicError where a name, a setting or a
    model is unknown, or another dataset took this one's place meanwhile. In a program of one's own
    call it below `if __name__ == "__main__":`, since worker processes import that program.
    """
    request = request or AnalysisRequest()
    directory = request.directory or analyses_directory(path)
    with open_dataset(path) as dataset:
        key = dataset.content_key
        tasks = list(_tasks(dataset, directory, request))
    # One record at a time stays small: data of tables are read again from their files.
    records: dict[Path, AnalysisRecord] = {}
    todo = []
    for task in tasks:
        there = None if request.fresh else read_record(task.folder)
        if there is not None and _still_holds(there, task):
            records[task.folder] = there
        else:
            todo.append(task)
    report(len(records), len(tasks))
    for task, record in _carried_out(path, todo, request.workers):
        records[task.folder] = record
        report(len(records), len(tasks))
    write_tests(directory, key, {task.folder for task in tasks})
    return [records[task.folder] for task in tasks]


def _still_holds(record: AnalysisRecord, task: AnalysisTask) -> bool:
    # What lacked files is asked again each time: whether they are back, and whole, is what an
    # analysis finds out by reading them.
    return record.key == task.key and not record.error and not record.away


def available(script: Path | None = None) -> dict[str, Analysis]:
    """Return the analyses that are installed and those of a script, by name and in order."""
    return _together(load_script(script) if script else {}, script)


def _together(own: Mapping[str, Analysis], script: Path | None) -> dict[str, Analysis]:
    found = dict(installed.plugins("analyses"))
    if doubled := sorted(found.keys() & own.keys()):
        raise PanicError(f"{script} has an analysis {doubled[0]!r}, which is installed already")
    return dict(sorted({**found, **own}.items(), key=lambda item: item[1].order))


def _tasks(dataset: Dataset, directory: Path, request: AnalysisRequest) -> Iterator[AnalysisTask]:
    own = load_script(request.script) if request.script else {}
    known = _together(own, request.script)
    given = request.settings
    for name in (*request.names, *given):
        installed.lookup(known, name, "analysis")
    # A script that is named without names is what was asked for.
    chosen = set(request.names) or (set(own) if own else set(known))
    for name, analysis in known.items():
        if name not in chosen:
            continue
        settings = settings_of(analysis, given.get(name, {}))
        usual = settings == settings_of(analysis, {})
        told = settings.model_dump(mode="json")
        for model in _models(dataset, analysis, request.models):
            folder = folder_of(directory, name, model, "" if usual else content_key(told))
            parts = [dataset.content_key, name, model, told, _code(analysis)]
            key = content_key(parts)
            yield AnalysisTask(name, model, told, folder, key, dataset.content_key, request.script)


def _models(dataset: Dataset, analysis: Analysis, wanted: Sequence[str]) -> list[str]:
    there = dataset.models_of(EMBEDDINGS)
    for model in wanted:
        if model not in there:
            raise PanicError(
                f"{dataset.path} has no embeddings of {model!r}",
                hint=f"It has those of {', '.join(there) or 'no model'}",
            )
    return (list(wanted) or there or [""]) if analysis.per_model else [""]


def _code(analysis: Analysis) -> str:
    """Return a digest of the code that decides an analysis' result."""
    source = inspect.getsourcefile(analysis.function)
    own = Path(source).read_bytes() if source else b""
    return hashlib.sha256(_package_code() + own).hexdigest()


@cache
def _package_code() -> bytes:
    # All of this room: a change of an estimator must not leave old results standing.
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def _carried_out(
    path: Path, tasks: Sequence[AnalysisTask], workers: int
) -> Iterator[tuple[AnalysisTask, AnalysisRecord]]:
    cores = len(os.sched_getaffinity(0))
    count = min(workers or _as_many_as_fit(cores), len(tasks))
    if count <= 1:
        for task in tasks:
            yield task, carry_out(path, task)
        return
    threads = max(1, cores // count)
    # Not forked: a library's threads that hold a lock would be copied with it.
    pool = partial(ProcessPoolExecutor, count, get_context("spawn"))
    with pool(initializer=_limit_threads, initargs=(threads,)) as executor:
        futures = {executor.submit(carry_out, path, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise PanicError(
                "A worker process of the analyses was killed, most likely for memory",
                hint="Type it again with --workers 1; what was finished is kept",
            ) from error


def _as_many_as_fit(cores: int) -> int:
    """Return how many workers the memory of this machine has room for, at most one a core."""
    return max(1, min(cores, memory_bytes() // BYTES_A_WORKER))


def _limit_threads(count: int) -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(count)


def carry_out(path: Path, task: AnalysisTask) -> AnalysisRecord:
    """Run one analysis, write what it found, and return that with its seconds."""
    analysis = available(task.script)[task.analysis]
    settings = settings_of(analysis, task.settings)
    began = clock.monotonic()
    error, found = "", AnalysisResult()
    with open_dataset(path) as dataset:
        _require_same(dataset, task.content_key)
        try:
            found = _result(dataset, analysis, task.model, settings)
        except (Interrupted, MemoryError):
            raise
        # Whatever an analysis raises, its own or one of somebody else's: the others go on.
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        record = AnalysisRecord(
            analysis=analysis.name,
            model=task.model,
            question=analysis.question,
            asks=analysis.asks,
            key=task.key,
            content_key=dataset.content_key,
            settings=task.settings,
            result=found,
            seconds=clock.monotonic() - began,
            versions=versions_of(_LIBRARIES),
            error=error,
            away=sorted(_missed(dataset)),
        )
    return write_record(record, task.folder)


def _require_same(dataset: Dataset, content_key: str) -> None:
    # Another's results would stand under this one's key, and be told as its own.
    if dataset.content_key != content_key:
        raise PanicError(
            f"{dataset.path} was replaced by another dataset while it was analysed",
            hint=f"Type it again: panic-hpc analyse {dataset.path}",
        )


def _missed(dataset: Dataset) -> Collection[str]:
    """Return the files that a dataset refers to and that were not there when they were read."""
    try:
        references = dataset.file.references
    # Its tables are damaged: an analysis that needs them has raised that.
    except ShardError:
        return ()
    return references.missed if references else ()


def _result(dataset: Dataset, analysis: Analysis, model: str, settings: Any) -> AnalysisResult:
    from panic_hpc.analysis.reading import trajectories

    if analysis.per_model and not model:
        return refused(analysis.name, "the dataset has no embeddings")
    if dataset.n_runs == 0:
        return refused(analysis.name, "the dataset has no runs")
    for stage in analysis.needs:
        if model not in dataset.models_of(stage):
            return refused(analysis.name, f"the dataset has no {stage} of {model or 'any model'}")
    try:
        result = analysis.function(trajectories(dataset, model), settings)
    except AnalysisError as error:
        return refused(analysis.name, str(error))
    if not isinstance(result, AnalysisResult):
        raise TypeError(f"{analysis.name} gave {type(result).__name__} and no AnalysisResult")
    return result
