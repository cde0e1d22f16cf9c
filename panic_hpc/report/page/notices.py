"""What a reader must know before believing the answers: missing, cut off, failed, mixed."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from panic_hpc.analysis.records import AnalysisRecord
from panic_hpc.plain_text import counted
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED, EMBEDDING_TRUNCATED
from panic_hpc.store.results.runs import ENDED, INPUT_TRUNCATED, OUTPUT_EMPTY, OUTPUT_TRUNCATED
from panic_hpc.types import DIAGRAMS, EMBEDDINGS

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that limits what the dataset can tell, in a sentence; more of it in `detail`."""

    sentence: str
    detail: str = ""


def notices(dataset: "Dataset", records: Sequence[AnalysisRecord]) -> list[Notice]:
    """Return all that limits what the dataset can tell, [] where nothing does."""
    return [
        *_missing(dataset),
        *_failed_runs(dataset),
        *_flagged_invocations(dataset),
        *_flagged_embeddings(dataset),
        *_diagrams(dataset),
        *_mixed(dataset.shards().rows(named=True)),
        *_analyses(records),
    ]


def _missing(dataset: "Dataset") -> Iterator[Notice]:
    missing = dataset.metadata["missing"]
    runs: dict[str, list[int]] = {}
    for one in missing:
        stage = " of ".join(filter(None, (one["stage"], one["model"])))
        runs.setdefault(stage, []).append(one["n_runs"])
    for stage, own in runs.items():
        shards, runs_in = counted(len(own), "shard"), counted(sum(own), "run")
        yield Notice(f"{shards} of {stage} missing when the dataset was made, with {runs_in}")


def _failed_runs(dataset: "Dataset") -> Iterator[Notice]:
    ended = dataset.result("runs").column("runs/ended")
    for word in ("failed", "unknown"):
        if count := int((ended == ENDED[word]).sum()):
            reasons = _reasons(dataset) if word == "failed" else ""
            yield Notice(f"{count:,} of {counted(len(ended), 'run')} ended as {word}", reasons)


def _reasons(dataset: "Dataset") -> str:
    from panic_hpc.store.dataset.outputs import read_texts

    n = dataset.file.rows("failures/run")
    texts = read_texts(dataset.file, "failures", 0, min(n, 1000))
    return _most_common(text.strip().split("\n")[0] for text in texts)


def _most_common(texts: Iterable[str]) -> str:
    found = Counter(text for text in texts if text).most_common(MOST_REASONS)
    return "; ".join(f"{text[:200]} ({counted(count, 'time')})" for text, count in found)


def _flagged_invocations(dataset: "Dataset") -> Iterator[Notice]:
    found = dataset.result("runs")
    flags, models = found.column("invocations/flags"), found.column("invocations/model")
    names = [model["name"] for model in dataset.metadata["models"]]
    totals = np.bincount(models, minlength=len(names))
    for bit, what in (
        (INPUT_TRUNCATED, "inputs were cut to what the model reads"),
        (OUTPUT_TRUNCATED, "outputs were cut at the limit of new tokens"),
        (OUTPUT_EMPTY, "outputs are empty"),
    ):
        counts = np.bincount(models[(flags & bit) > 0], minlength=len(names))
        for row in np.flatnonzero(counts):
            share = counts[row] / totals[row]
            yield Notice(f"{names[row]}: {counts[row]:,} of {totals[row]:,} {what} ({share:.1%})")


def _flagged_embeddings(dataset: "Dataset") -> Iterator[Notice]:
    for model in dataset.models_of(EMBEDDINGS):
        flags = dataset.result(EMBEDDINGS, model).column("flags")
        for bit, what in (
            (EMBEDDING_TRUNCATED, "texts were cut to what it reads"),
            (EMBEDDING_FAILED, "vectors are not finite"),
        ):
            if count := int(((flags & bit) > 0).sum()):
                share = count / len(flags)
                yield Notice(f"{model}: {count:,} of {len(flags):,} {what} ({share:.1%})")


def _diagrams(dataset: "Dataset") -> Iterator[Notice]:
    words = {code: word for word, code in DIAGRAM_STATUS.items()}
    for model in dataset.models_of(DIAGRAMS):
        status = dataset.file.array(f"{DIAGRAMS}/{model}/status")
        counts = Counter(words.get(code, "unknown") for code in status.tolist())
        counts.pop("computed", None)
        if counts:
            said = ", ".join(f"{count:,} {word}" for word, count in counts.most_common())
            runs = np.flatnonzero(status != DIAGRAM_STATUS["computed"])[:200].tolist()
            reasons = _most_common(dataset.reason(run, model) for run in runs)
            yield Notice(f"Diagrams of {model}: {said}, of {counted(len(status), 'run')}", reasons)


def _mixed(shards: Sequence[dict[str, Any]]) -> Iterator[Notice]:
    classes: dict[tuple[str, str], set[str]] = {}
    commits: set[str] = set()
    for shard in shards:
        classes.setdefault((shard["stage"], shard["model"]), set()).add(shard["numerics"])
        commits.add(str(json.loads(shard["provenance"]).get("commit", "")))
    for (stage, model), found in classes.items():
        if len(found) > 1:
            what = " of ".join(filter(None, (stage, model)))
            yield Notice(
                f"Shards of {what} were made in {len(found)} numerics classes: "
                "the same input need not give the same bits in all of them",
                _differences([json.loads(one) for one in sorted(found)]),
            )
    if len(commits) > 1:
        yield Notice(f"Shards were made by {len(commits)} versions of the code")
    if any(commit.endswith("-dirty") for commit in commits):
        yield Notice("Some shards were made by code with changes that were not committed")


def _differences(classes: Sequence[dict[str, Any]]) -> str:
    names = sorted({name for one in classes for name in one})
    values = {n: {json.dumps(one.get(n), sort_keys=True) for one in classes} for n in names}
    return "; ".join(f"{n}: {' | '.join(sorted(v))}" for n, v in values.items() if len(v) > 1)


def _analyses(records: Sequence[AnalysisRecord]) -> Iterator[Notice]:
    for record in records:
        if record.error:
            where = f" in {record.model}" if record.model else ""
            yield Notice(f"The analysis {record.analysis}{where} failed", record.error)
