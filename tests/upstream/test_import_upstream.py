"""Upstream's databases become datasets with everything that was in them, or a word on what not."""

import io
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import upstream_databases as upstream
from PIL import Image
from upstream_databases import DGMS, ENTROPY, PROMPTS, Writer, caption, vector

import panic_hpc
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.upstream.importing import import_upstream

ERAS = ("python", "elixir")


@pytest.mark.parametrize("era", ERAS)
def test_everything_arrives(tmp_path: Path, era: str) -> None:
    Writer(tmp_path / "db.sqlite", era, n_runs=3, length=7).connection.close()
    imported = import_upstream(tmp_path / "db.sqlite", tmp_path / "d.h5")
    assert imported.problems == ()
    assert verify_file(tmp_path / "d.h5").findings == ()
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        assert dataset.networks()["models"].to_list() == [upstream.NETWORK]
        assert dataset.prompts()["text"].to_list() == PROMPTS
        runs = dataset.runs()
        assert runs["prompt"].to_list() == [0, 0, 0, 1, 1, 1]
        assert runs["ended"].to_list() == ["length"] * 6
        assert runs["noise"].to_list() == ["per_step"] * 6
        found = {tuple(dataset.texts(row).values()): row for row in range(6)}
        for number in range(6):
            row = found[tuple(caption(number, step) for step in (1, 3, 5))]
            assert row // 3 == number // 3
            expected = [vector(number, step) for step in (1, 3, 5)]
            assert np.array_equal(dataset.trajectory(row, "Nomic"), expected)
            assert dataset.image_bytes(row, 4) == upstream.picture(number + 4)
            for dgm, wanted in zip(dataset.diagrams(row, "Nomic"), DGMS, strict=True):
                assert np.array_equal(dgm, wanted)
            assert np.array_equal(dataset.entropy(row, "Nomic"), ENTROPY)
            seconds = dataset.invocations(row)["seconds"].to_list()
            assert seconds == [1.5] * 7


def test_elixir_seeds_of_invocations_are_kept(tmp_path: Path) -> None:
    Writer(tmp_path / "db.sqlite", "elixir", n_runs=1, length=3).connection.close()
    import_upstream(tmp_path / "db.sqlite", tmp_path / "d.h5")
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        assert dataset.invocations(1)["seed"].to_list() == [1000, 1001, 1002]


def test_a_run_that_ended_on_a_repetition_has_a_loop(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "db.sqlite", "python", n_runs=1, length=7)
    writer.connection.execute("update run set seed = 42, max_length = 20")
    writer.connection.execute(
        "update invocation set output_text = 'same' where sequence_number in (1, 5)"
    )
    writer.connection.execute("delete from invocation where sequence_number > 5")
    writer.connection.commit()
    writer.connection.close()
    import_upstream(tmp_path / "db.sqlite", tmp_path / "d.h5")
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        run = dataset.runs().row(0, named=True)
        assert (run["ended"], run["loop_start"], run["loop_length"]) == ("loop", 1, 4)
        assert (run["seed"], run["noise"]) == (42, "fixed")


def test_what_upstream_lacks_is_said(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "db.sqlite", "python", n_runs=2, length=6)
    first, second, third, fourth = writer.run_ids
    execute = writer.connection.execute
    execute("delete from invocation where run_id = ? and sequence_number = 3", (first,))
    execute("update persistencediagram set diagram_data = null where run_id = ?", (second,))
    execute("delete from persistencediagram where run_id = ?", (third,))
    execute("update invocation set output_text = null where run_id = ? and sequence_number = 1",
            (fourth,))  # fmt: skip
    writer.connection.commit()
    writer.connection.close()
    imported = import_upstream(tmp_path / "db.sqlite", tmp_path / "d.h5")
    assert any("step 3 is missing" in problem for problem in imported.problems)
    assert any("have no output" in problem for problem in imported.problems)
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        lengths = dataset.runs()["n_steps"].to_list()
        assert sorted(lengths) == [3, 6, 6, 6]
        reasons = {dataset.reason(row, "Nomic") for row in range(4)}
        assert any("memory ran out" in reason for reason in reasons)
        assert any("computed none" in reason for reason in reasons)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("create table t (a)")
    for name, words in (("text", "SQLite"), ("other.sqlite", "upstream's tables"), ("no", "exist")):
        with pytest.raises(PanicError, match=words):
            import_upstream(tmp_path / name, tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()
    assert list(tmp_path.glob(".import-*")) == []


@pytest.mark.long
@pytest.mark.timeout(1800)  # most of it writes the database
def test_a_million_invocations(tmp_path: Path) -> None:
    Writer(tmp_path / "db.sqlite", "elixir", n_runs=500, length=1000).connection.close()
    start = time.perf_counter()
    imported = import_upstream(tmp_path / "db.sqlite", tmp_path / "d.h5")
    print(f"{time.perf_counter() - start:.0f} s")
    assert imported.problems == ()
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        assert dataset.file.rows("invocations/step") == 1_000_000
        assert dataset.trajectory(999, "Nomic").shape == (500, 4)


def test_pictures_of_other_formats_are_stored_as_all_others(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "AVIF", quality=50)
    expected = np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
    writer = Writer(tmp_path / "db.sqlite", "elixir", n_runs=1, length=3)
    change = "update invocations set output_image = ? where sequence_number = ?"
    writer.connection.execute(change, (stream.getvalue(), 0))
    writer.connection.execute(change, (b"%!PS-Adobe-3.0 EPSF-3.0", 2))
    writer.connection.commit()
    writer.connection.close()
    imported = import_upstream(tmp_path / "db.sqlite", tmp_path / "d.h5")
    assert "the picture of step 2 is none (" in imported.problems[0]
    assert verify_file(tmp_path / "d.h5").findings == ()
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        assert dataset.image_steps(0) == [0]
        assert np.array_equal(dataset.image(0, 0), expected)
