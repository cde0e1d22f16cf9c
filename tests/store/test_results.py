"""Kinds of results: a declaration that contradicts itself is refused, and says what is wrong."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import forge
import numpy as np
import pytest
import synthetic
from synthetic import Experiment

import panic_hpc
from panic_hpc.errors import PanicError, ShardError
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.format.column import Column, ragged_columns
from panic_hpc.store.format.shard import ShardHeader, publish_shard
from panic_hpc.store.results.activations import ACTIVATIONS
from panic_hpc.store.results.base import (
    IDENTITY,
    INDEX,
    KEY,
    ExportTable,
    ResultKind,
    all_kinds,
    kind_of,
)
from panic_hpc.store.results.diagrams import DIAGRAM_STATUS
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.store.results.rows import ONE, Counted

SPARE = Column("runs/spare", "<i4", "run", "a number")


def kind(*columns: Column, **changes: Any) -> ResultKind:
    return ResultKind(stage="spare", columns=(*IDENTITY, *columns), **changes)


@pytest.mark.parametrize(
    ("columns", "changes", "sentence"),
    [
        ((), {"stage": "Spare"}, "no name of a stage"),
        ((), {"stage": "a_very_long_name_"}, "no name of a stage"),
        ((), {"stage": "prompts"}, "no name of a stage"),
        ((), {"columns": (INDEX, KEY)}, "runs/digest is missing"),
        ((SPARE, SPARE), {}, "runs/spare is declared twice"),
        ((Column("spare/x", "<i4", "thing", ""),), {}, "how many rows a run has in spare/x"),
        ((replace(SPARE, index="thing"),), {}, "points to thing, of which nothing is known"),
        ((replace(SPARE, index="prompt", scientific=True),), {}, "no digest may cover it"),
        ((replace(SPARE, index="model"),), {}, "points to models"),
        ((), {"rows_per_run": {"thing": Counted("runs/n")}}, "runs/n is not one of its columns"),
        ((), {"fill": {"runs/x": 0}}, "runs/x is not one of its columns"),
        ((), {"undigested": {"runs/x": 0}}, "runs/x is not one of its columns"),
        ((), {"dataset_offsets": {"run": "offsets"}}, "a column that counts the rows of run"),
        ((), {"exports": (ExportTable("runs", "run", ()),)}, "runs is the dataset's own"),
        ((), {"exports": (ExportTable("x", "run", ("runs/x",)),)}, "no rows of the exported"),
        ((), {"exports": (ExportTable("x", "run", (), texts={"a": "b"}),)}, "no text b a row"),
        ((), {"exports": (ExportTable("x", "run", (), place="p"),)}, "nothing cuts up the rows"),
        ((replace(SPARE, name="runs/shard"),), {}, "a dataset would have spare/m/shard twice"),
        ((SPARE, replace(SPARE, name="spare/spare")), {}, "would have spare/m/spare twice"),
    ],
)
def test_a_declaration_that_cannot_be_merged_is_refused(
    columns: tuple[Column, ...], changes: dict[str, Any], sentence: str
) -> None:
    given = {"stage": "spare", "columns": (*IDENTITY, *columns), **changes}
    with pytest.raises(PanicError, match=sentence):
        ResultKind(**given)


def test_results_of_no_model_lie_in_a_group_of_their_own() -> None:
    found = kind(SPARE, *ragged_columns("notes", "note", ""), per_model=False,
                 rows_per_run={"note": ONE})  # fmt: skip
    names = [column.name for _, column in found.dataset_columns("")]
    assert names == ["spare/digest", "spare/spare", "spare/notes/offsets", "spare/notes/values"]
    assert [column.name for column in found.added_columns("")] == ["spare/shard"]
    assert (found.label(), kind_of("embeddings").label("0f")) == ("spare", "embeddings:0f")


def test_every_kind_says_where_all_of_its_rows_belong(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp")
    inputs = synthetic.write(experiment, [5, 7], [8, 4])
    path = synthetic.merged(tmp_path / "dataset.h5", (experiment, inputs)).path
    with panic_hpc.open(path) as dataset:
        # Of what only some experiments ask for, this one has none.
        asked = set(all_kinds()) - {METRICS, ACTIVATIONS}
        assert {stage for stage, _ in dataset.results()} == asked
        for stage, model in dataset.results():
            result = dataset.result(stage, model)
            runs = [result.of_run(run) for run in range(dataset.n_runs)]
            for name, column in result.columns.items():
                whole = result.column(name)
                assert np.array_equal(whole, dataset.file.whole(place(stage, model, name)))
                assert len(whole) - column.edges == result.edges(column.rows)[-1]
                if not column.edges and column.index not in ("run", "invocation"):
                    assert np.array_equal(np.concatenate([run[name] for run in runs]), whole)


def place(stage: str, model: str, name: str) -> str:
    return f"{stage}/{model}/{name}" if model else name


def test_rows_of_a_run_count_from_its_own_first(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp")
    path = synthetic.merged(
        tmp_path / "dataset.h5", (experiment, synthetic.write(experiment, [12]))
    ).path
    with panic_hpc.open(path) as dataset:
        for row in range(dataset.n_runs):
            run = dataset.result("runs").of_run(row)
            steps = run["invocations/step"][run["texts/invocation"]]
            edges = run["texts/offsets"]
            texts = [run["texts/values"][a:b].tobytes().decode() for a, b in pairwise(edges)]
            assert dict(zip(steps.tolist(), texts, strict=True)) == dataset.texts(row)
            bars = dataset.result("diagrams", "Sense").of_run(row)
            assert bars["offsets"][-1] == len(bars["bars"])


def test_columns_outlive_the_dataset_and_cannot_be_written(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp")
    path = synthetic.merged(
        tmp_path / "dataset.h5", (experiment, synthetic.write(experiment, [12]))
    ).path
    with panic_hpc.open(path) as dataset:
        vectors = dataset.result("embeddings", "Sense").column("vector")
        wanted = dataset.file.array("embeddings/Sense/vector")
        with pytest.raises(PanicError, match="Did you mean 'vector'"):
            dataset.result("embeddings", "Sense").column("vectors")
        with pytest.raises(PanicError, match="no dimension 'bar'"):
            dataset.result("embeddings", "Sense").edges("bar")
        with pytest.raises(PanicError, match=r"It has runs, .*embeddings of Sense"):
            dataset.result("embeddings", "Taste")
        with pytest.raises(PanicError, match="no kind of results 'embedding'"):
            dataset.result("embedding")
    path.unlink()
    assert np.array_equal(vectors, wanted)
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0


def test_steps_of_embeddings_that_do_not_ascend_are_found(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp")
    shards = synthetic.write(experiment, [12])
    dataset = synthetic.merged(tmp_path / "dataset.h5", (experiment, shards)).path
    (shard, *_) = [one.path for one in shards if one.shard.stage == "embeddings"]
    for path, name in ((dataset, "embeddings/Sense/step"), (shard, "embeddings/step")):
        forge.overwrite(path, name, lambda steps: np.roll(steps, 1))
        sentence = f"{name} does not ascend from -1 within each run"
        assert ("S05", sentence) in [(f.rule, f.message) for f in verify_file(path).findings]


def test_diagrams_of_missing_shards_say_so(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp", has_real_images=True)
    shards = synthetic.write(experiment, [12], [8, 4])
    left = [s for s in shards if (s.shard.stage, s.shard.first_run) != ("diagrams", 8)]
    path = synthetic.merged(tmp_path / "dataset.h5", (experiment, left)).path
    assert not verify_file(path).findings
    with panic_hpc.open(path) as dataset:
        diagrams = dataset.result("diagrams", "Sight")
        assert diagrams.has_run.tolist() == [True] * 8 + [False] * 4
        assert (diagrams.column("status") == DIAGRAM_STATUS["missing"]).tolist() == [
            not there for there in diagrams.has_run
        ]
        assert np.isnan(diagrams.column("entropy")[8:]).all()
        assert diagrams.edges("bar")[8] == diagrams.edges("bar")[12]


def test_two_texts_of_one_invocation_are_found(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp")
    path = synthetic.write(experiment, [12])[0].path
    forge.overwrite(path, "texts/invocation", lambda rows: np.r_[rows[1], rows[1:]])
    found = [(finding.rule, finding.message) for finding in verify_file(path).findings]
    assert ("S04", "texts/invocation is not in ascending order") in found


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("runs/offsets", 1, ("S03", "runs/offsets is not the running sum of runs/n_steps")),
        ("runs/shard", -1, ("S04", "runs/shard points outside of its table of 5 rows")),
    ],
)
def test_what_merge_adds_is_checked(
    tmp_path: Any, name: str, change: int, found: tuple[str, str]
) -> None:
    experiment = Experiment(tmp_path / "exp")
    shards = synthetic.write(experiment, [12])
    path = synthetic.merged(tmp_path / "dataset.h5", (experiment, shards)).path
    forge.overwrite(path, name, lambda rows: np.r_[rows[:1], rows[1:] + change])
    assert found in [(finding.rule, finding.message) for finding in verify_file(path).findings]


def test_offsets_that_are_too_few_are_told_in_words(tmp_path: Any) -> None:
    experiment = Experiment(tmp_path / "exp")
    arrays = synthetic.runs_arrays(experiment, 0, experiment.runs)
    short = {**arrays, "texts/offsets": arrays["texts/offsets"][:-2]}
    with pytest.raises(ShardError, match=r"texts/offsets has \d+ rows, not"):
        publish_shard(tmp_path / "x.h5", ShardHeader("runs", 0, "", experiment.key), short)
