"""What limits a dataset is said before anybody believes its answers; hours are those of shards."""

from pathlib import Path

import numpy as np
import pytest
import synthetic

from panic_hpc.report.figures.timeline import TimelineBar, draw_timeline, rows_of
from panic_hpc.report.page.notices import notices
from panic_hpc.report.page.work import WorkedShard, hours_table
from panic_hpc.store.dataset.dataset import open_dataset
from panic_hpc.store.results.embeddings import EMBEDDING_FAILED
from panic_hpc.store.results.runs import INPUT_TRUNCATED, OUTPUT_EMPTY, OUTPUT_TRUNCATED


def said_of(path: Path) -> dict[str, str]:
    with open_dataset(path) as dataset:
        return {one.sentence: one.detail for one in notices(dataset, [])}


def test_runs_and_diagrams_that_failed_are_said_with_their_reasons(tmp_path: Path) -> None:
    experiment = synthetic.Experiment(tmp_path / "shards")
    synthetic.merged(tmp_path / "D.h5", (experiment, synthetic.write(experiment, [12])))
    told = said_of(tmp_path / "D.h5")
    (failed,) = [detail for said, detail in told.items() if said == "4 of 12 runs ended as failed"]
    assert "broke (1 time)" in failed
    assert told["Diagrams of Sense: 4 skipped, of 12 runs"] == "too few points (4 times)"
    assert len(told) == 3  # and the diagrams of the other model


def test_what_was_cut_off_or_empty_is_counted_by_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_runs, made_vectors = synthetic.runs_arrays, synthetic.embeddings_arrays

    def runs(*arguments: object) -> synthetic.Arrays:
        arrays = made_runs(*arguments)  # type: ignore[arg-type]
        of_painter = arrays["invocations/model"] == 0
        cut = np.where(of_painter, INPUT_TRUNCATED, OUTPUT_TRUNCATED | OUTPUT_EMPTY)
        return {**arrays, "invocations/flags": cut.astype("<u2")}

    def vectors(*arguments: object) -> synthetic.Arrays:
        arrays = made_vectors(*arguments)  # type: ignore[arg-type]
        flags = np.zeros_like(arrays["embeddings/flags"])
        flags[:2] = EMBEDDING_FAILED
        arrays["embeddings/vector"][:2] = np.nan
        return {**arrays, "embeddings/flags": flags}

    monkeypatch.setattr(synthetic, "runs_arrays", runs)
    monkeypatch.setattr(synthetic, "embeddings_arrays", vectors)
    experiment = synthetic.Experiment(
        tmp_path / "shards", networks=((synthetic.PAINTER, synthetic.TELLER),), max_length=8
    )
    synthetic.merged(tmp_path / "D.h5", (experiment, synthetic.write(experiment, [6])))
    told = list(said_of(tmp_path / "D.h5"))
    cut = [said for said in told if said.startswith("Painter: ")]
    assert [("inputs were cut" in said, said[-8:]) for said in cut] == [(True, "(100.0%)")]
    assert len([said for said in told if said.startswith("Teller: ")]) == 2
    assert any("Sense: 2 of" in said and "not finite" in said for said in told)


def test_missing_shards_and_mixed_numerics_classes_are_said(tmp_path: Path) -> None:
    first = synthetic.Experiment(tmp_path / "first")
    second = synthetic.Experiment(tmp_path / "second", seeds=(4, 5))
    pairs = (
        (first, synthetic.write(first, [12], numerics="one machine")),
        (second, synthetic.write(second, [8], numerics="another machine")),
    )
    lost = {"experiment": 0, "stage": "runs", "index": 1, "model": "", "first_run": 12, "n_runs": 6}
    synthetic.merged(tmp_path / "D.h5", *pairs, missing=[lost])
    told = said_of(tmp_path / "D.h5")
    assert "1 shard of runs missing when the dataset was made, with 6 runs" in told
    (mixed,) = [detail for said, detail in told.items() if said.startswith("Shards of runs were")]
    assert mixed == 'cpu: "another machine" | "one machine"'


SHARDS = [
    WorkedShard("runs", "", "n1", 0.0, 3600.0, 4, True),
    WorkedShard("runs", "", "n2", 1800.0, 5400.0, 4, True),
    WorkedShard("diagrams", "Sense", "n1", 7200.0, 10800.0, 2, False),
]


def test_hours_are_summed_by_stage() -> None:
    table = hours_table(SHARDS)
    assert table.row(0) == {
        "work": "runs",
        "shards": 2,
        "hours": 2,
        "gpu_hours": 2,
        "core_hours": 8,
    }
    assert table.row(1)["work"] == "diagrams of Sense"
    assert table.row(1)["gpu_hours"] == 0


def test_shards_of_a_node_that_overlap_lie_above_each_other() -> None:
    bars = [TimelineBar("n", "runs", *ends) for ends in ((0, 4), (1, 3), (3, 5), (4, 6), (4.5, 5))]
    assert rows_of(bars) == [0, 1, 1, 0, 2]
    drawn = draw_timeline(bars)
    assert drawn.png == draw_timeline(bars).png
    assert drawn.numbers.data["ended"] == [4, 3, 5, 6, 5]
