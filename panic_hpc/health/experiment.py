"""Checking all published files of an experiment, and against its manifest."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from panic_hpc.errors import ManifestError, PanicError
from panic_hpc.merging.inputs import Input, read_source
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.stages.merge.experiments import expected
from panic_hpc.store.checks.rules import REDO_DATASET, REDO_SHARD, Finding
from panic_hpc.store.checks.sampling import Sample
from panic_hpc.store.checks.verify import Verified, verify_among_others
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.format.header import DATASET
from panic_hpc.store.results.base import kind_of

Report = Callable[[int, int], None]


def verify_experiment(root: Path, sample: Sample, report: Report) -> Iterator[Verified]:
    """Yield what checking each published shard, and the dataset, of an experiment found.

    A file that cannot be read keeps no other from being checked.
    """
    planned = manifest.read(root)
    paths = ExperimentPaths(root)
    inputs = [one for one in expected(planned, paths, 0, {}) if one.path.exists()]
    files = [one.path for one in inputs] + [paths.dataset] * paths.dataset.exists()
    sizes = [path.stat().st_size for path in files]
    total = sum(sizes)
    for number, one in enumerate(inputs):
        yield _shard(one, sample, _shifted(report, sum(sizes[:number]), total))
    if paths.dataset.exists():
        found = verify_among_others(paths.dataset, sample, _shifted(report, sum(sizes[:-1]), total))
        yield _with(found, *_dataset_findings(paths, planned.key, planned.n_runs, found))


def _shifted(report: Report, done: int, total: int) -> Report:
    return lambda now, _: report(done + now, total)


def _shard(source: Input, sample: Sample, report: Report) -> Verified:
    found = verify_among_others(source.path, sample, report)
    if found.findings or found.unchecked:
        return found
    try:
        read_source(source)
    except PanicError as error:
        return _with(found, Finding("M01", str(source.path), error.message, REDO_SHARD))
    return found


def _dataset_findings(
    paths: ExperimentPaths, key: str, n_runs: int, found: Verified
) -> Iterator[Finding]:
    if found.findings or found.unchecked:
        return
    if found.kind != DATASET:
        sentence = f"{paths.dataset} is a {found.kind}, where the dataset belongs"
        yield Finding("M02", str(paths.dataset), sentence, REDO_DATASET)
        return
    with Dataset(paths.dataset) as dataset:
        if [one["key"] for one in dataset.metadata["experiments"]] != [key]:
            sentence = f"{paths.dataset} is the dataset of other experiments"
            yield Finding("M02", str(paths.dataset), sentence, REDO_DATASET)
            return
        listed = {one["first_run"]: one["n_runs"] for one in dataset.metadata["missing"]
                  if kind_of(one["stage"]).defines_runs}  # fmt: skip
        if dataset.n_runs + sum(listed.values()) != n_runs:
            message = f"it has {dataset.n_runs} runs and lists {sum(listed.values())} as missing"
            sentence = f"{message}, the manifest has {n_runs}"
            yield Finding("M02", str(paths.dataset), sentence, REDO_DATASET)


def _with(found: Verified, *more: Finding) -> Verified:
    return replace(found, findings=(*found.findings, *more))


def is_experiment(path: Path) -> bool:
    """Return whether `path` is an experiment's directory; ManifestError for another directory."""
    if not path.is_dir():
        return False
    if ExperimentPaths(path).manifest.exists():
        return True
    raise ManifestError(f"{path} is a directory without a manifest", hint="Name a file to verify")
