"""Everything in an experiment's directory that contradicts its manifest, the format or itself."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from panic_hpc.errors import PanicError
from panic_hpc.health.experiment import verify_experiment
from panic_hpc.keys import canonical_json
from panic_hpc.store.checks.sampling import Sample
from panic_hpc.store.format.column import MODALITIES
from panic_hpc.store.format.file_digest import digest_path
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.shard import open_shard
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED
from panic_hpc.store.results.runs import OUTPUT_TRUNCATED
from panic_hpc.types import TEXT, Shard
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.leases import seen
from panic_hpc.workspace.ledger import read_submission
from panic_hpc.workspace.workspace import Workspace

Report = Callable[[int, int], None]
SUBMIT = "panic-hpc submit computes it again"
QUARANTINE = "quarantine"
"""Below an experiment's directory: what a repair moved away, under the time of the repair."""
_TEMPORARY = re.compile(r"\.(?P<shard>[^.]+)(\..+)?\.\d+-[0-9a-f]{8}\.tmp")
_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """One thing that is wrong, and what can be done about it.

    kind: corrupt, foreign, extra, orphaned, stale, unreadable, sourceless, mixed, nan, truncated.
    path: the file that it is about.
    message, hint: what is wrong, and the next thing to type or know.
    quarantine: files that `doctor --fix` moves away, none where nothing can be rebuilt.
    """

    kind: str
    path: Path
    message: str
    hint: str
    quarantine: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        value = asdict(self) | {"path": str(self.path)}
        return value | {"quarantine": [str(path) for path in self.quarantine]}


def inspect(
    workspace: Workspace, sample: Sample, most_truncated: float, now: float, report: Report
) -> Iterator[Inconsistency]:
    """Yield what is wrong, files first; `most_truncated` is a share of captions, in [0, 1].

    Reads every published file once, less with a `sample`.
    """
    expected = {workspace.paths.shard(s): s for s in _shards(workspace)}
    corrupt = set()
    for checked in verify_experiment(workspace.paths.root, sample, report):
        if checked.unchecked:
            corrupt.add(checked.path)
            hint = "Nothing is known of it until it can be read"
            yield Inconsistency("unreadable", checked.path, checked.unchecked, hint)
        for finding in checked.findings[:1]:
            corrupt.add(checked.path)
            beside = digest_path(checked.path)
            yield Inconsistency(
                "foreign" if finding.rule.startswith("M") else "corrupt", checked.path,
                f"{finding.rule}: {finding.message}", SUBMIT,
                (checked.path, *([beside] if beside.exists() else [])),
            )  # fmt: skip
    yield from _unexpected_files(workspace, expected, now)
    yield from _records(workspace, expected, now)
    # The last stages first: what a file is made of was there before it.
    there = {path for path in reversed(expected) if path.exists()}
    sound = {path: s for path, s in expected.items() if path in there and path not in corrupt}
    yield from _sources(workspace, sound, corrupt)
    yield from _numerics(sound)
    yield from _values(sound, most_truncated)


def _shards(workspace: Workspace) -> Iterator[Shard]:
    return (shard for stage in workspace.stages for shard in workspace.shards(stage))


def _unexpected_files(
    workspace: Workspace, expected: Mapping[Path, Shard], now: float
) -> Iterator[Inconsistency]:
    for directory, _, names in os.walk(workspace.paths.root / "shards"):
        for path in sorted(Path(directory) / name for name in names):
            if match := _TEMPORARY.fullmatch(path.name):
                if _is_in_use(workspace, path, match["shard"], now):
                    continue
                yield Inconsistency("orphaned", path, "a writer left it behind",
                                    "Nothing reads it", (path,))  # fmt: skip
            elif path not in expected:
                yield Inconsistency("extra", path, "the manifest has no such shard",
                                    "Nothing reads it", (path,))  # fmt: skip


def _records(
    workspace: Workspace, expected: Mapping[Path, Shard], now: float
) -> Iterator[Inconsistency]:
    """Yield what records say of shards that are published, or that nobody can read."""
    paths = workspace.paths
    published = {f"{s.stage}_{s.index:05d}" for path, s in expected.items() if path.exists()}
    for directory, noun in ((paths.failed, "failure"), (paths.root / "checkpoints", "checkpoint")):
        for path in _files(directory):
            if path.stem in published and not _is_in_use(workspace, path, path.stem, now):
                yield Inconsistency("stale", path, f"a {noun} of a shard that is published",
                                    "The shard is complete", (path,))  # fmt: skip
    for path in _files(paths.failed):
        failure = read_failure(path)
        if failure and failure.kind == "damaged record":
            yield Inconsistency("unreadable", path, failure.reason,
                                "panic-hpc retry computes the shard again", (path,))  # fmt: skip
    for path in _files(paths.leases):
        lease = seen(path, None, now)
        if lease and lease[1] == "void" and path.stem in published:
            yield Inconsistency("stale", path, "a lease of a shard that is published",
                                "Its owner ended without a word", (path,))  # fmt: skip
    for path in _files(paths.ledger):
        try:
            read_submission(path)
        except PanicError as error:
            # Not moved away: it may be all that is known of jobs that run.
            yield Inconsistency("unreadable", path, error.message,
                                "Look at squeue for its jobs, then move it away")  # fmt: skip


def _is_in_use(workspace: Workspace, path: Path, shard: str, now: float) -> bool:
    """Whether a file is one of a worker's, which removes it before it gives up its lease."""
    lease = seen(workspace.paths.leases / f"{shard}.json", None, now)
    return (lease is not None and lease[1] == "held") or not path.exists()


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if not path.name.startswith("."))


def _sources(
    workspace: Workspace, sound: Mapping[Path, Shard], corrupt: Collection[Path]
) -> Iterator[Inconsistency]:
    """Yield files whose source nothing explains: a wrong one is told, a moved one is made again."""
    root = workspace.paths.root
    moved = {
        root / path.relative_to(one)
        for one in (root / QUARANTINE).glob("*")
        for path in one.rglob("*.h5")
    }
    explained = {shard.id for shard in _shards(workspace)
                 if workspace.paths.shard(shard) in moved | set(corrupt)}  # fmt: skip
    there = explained | {shard.id for shard in sound.values()}
    for path, shard in sound.items():
        absent = [one for one in shard.inputs if one not in there]
        if absent and not shard.file:
            name = f"{absent[0].stage}_{absent[0].index:05d}"
            yield Inconsistency(
                "sourceless", path, f"what it was made of, {name}, is not there",
                f"panic-hpc submit {workspace.paths.root} makes the same {name} again",
            )  # fmt: skip


def _numerics(sound: Mapping[Path, Shard]) -> Iterator[Inconsistency]:
    first: dict[tuple[str, str], tuple[str, Path]] = {}
    for path, shard in sound.items():
        if shard.file:
            continue
        with open_shard(path, check=False) as file:
            text = canonical_json(file.header["numerics"])
        known = first.setdefault((shard.stage, shard.model), (text, path))
        if known[0] != text:
            yield Inconsistency(
                "mixed", path, f"it was made in another numerics class than {known[1].name}",
                "Bits may differ by rounding; the dataset records both",
            )  # fmt: skip


def _values(sound: Mapping[Path, Shard], most_truncated: float) -> Iterator[Inconsistency]:
    for path in (path for path, shard in sound.items() if not shard.file):
        with open_shard(path, check=False) as file:
            if count := _n_not_finite(file):
                message = f"{count} vectors are not finite and say nothing of a failure"
                yield Inconsistency("nan", path, message, SUBMIT, (path,))
            if (share := _truncated(file)) > most_truncated:
                hint = "Give the captioner a larger max_tokens"
                yield Inconsistency("truncated", path, f"{share:.0%} of its texts were cut", hint)


def _n_not_finite(file: ArrayFile) -> int:
    count = 0
    n_rows = file.rows("embeddings/vector") if "embeddings/vector" in file else 0
    for first in range(0, n_rows, _ROWS):
        last = min(first + _ROWS, n_rows)
        vectors = file.slice("embeddings/vector", first, last)
        failed = file.slice("embeddings/flags", first, last) & EMBEDDING_FAILED
        count += int(np.sum(~np.isfinite(vectors).all(axis=1) & (failed == 0)))
    return count


def _truncated(file: ArrayFile) -> float:
    """Return the share of a shard's texts that were cut off, 0 where it has none."""
    if "invocations/flags" not in file:
        return 0.0
    is_text = file.array("invocations/modality") == MODALITIES[TEXT]
    cut = (file.array("invocations/flags") & OUTPUT_TRUNCATED) != 0
    return float(np.mean(cut[is_text])) if is_text.any() else 0.0
