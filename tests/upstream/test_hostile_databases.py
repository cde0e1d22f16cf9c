"""Whatever a database holds in whatever column: imported whole, or refused by name; never half."""

import io
import os
import sqlite3
import struct
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from upstream_databases import Writer, erlang

import panic_hpc
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.upstream import erlang_terms
from panic_hpc.upstream.database import _COLUMNS, _TABLES
from panic_hpc.upstream.importing import import_upstream

VALUES = (None, -1, 2**62, 1.5, float("inf"), "", "x", "[]", '[["a"], 3]', "[NaN]", "[" * 99,
          "a/b", "0" * 64, "\x1b[2J", b"", b"\x00" * 7, b"\x83j")  # fmt: skip
"""Values of every type of SQLite, and of what each column is decoded as."""


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("databases")
    for era in _TABLES:
        Writer(root / era, era, n_runs=1, length=3).connection.close()
    return {era: root / era for era in _TABLES}


def columns(era: str) -> list[tuple[str, str]]:
    names = _TABLES[era]
    return [
        (names[part], column.format(**names).rstrip("?"))
        for part, own in _COLUMNS.items()
        for column in own
    ]


def there(path: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute(f"pragma table_info({table})")}


def try_import(database: Path, target: Path) -> str:
    """Import, and return what was said; a dataset that is there afterwards must be clean."""
    try:
        import_upstream(database, target, force=True)
    except PanicError as error:
        assert not target.exists()
        assert not list(target.parent.glob(".import-*"))
        return error.message
    assert verify_file(target).findings == ()
    target.unlink()
    return ""


@pytest.mark.parametrize("step", [27, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("era", _TABLES)
def test_a_value_of_another_type_in_any_column_is_taken_or_refused_by_its_name(
    databases: dict[str, Path], tmp_path: Path, era: str, step: int
) -> None:
    n = n_named = 0
    for offset, (table, column) in enumerate(columns(era)):
        if column not in there(databases[era], table):
            continue
        # Every third value for a column, or every 27th, and others for the next column.
        for number in range(offset % step, len(VALUES), step):
            value = VALUES[number]
            path = tmp_path / f"{table}-{column}-{number}.db"
            path.write_bytes(databases[era].read_bytes())
            with closing(sqlite3.connect(path)) as connection:
                try:
                    connection.execute(
                        f'update "{table}" set "{column}" = ? where rowid = '
                        f'(select max(rowid) from "{table}")', (value,)
                    )  # fmt: skip
                # NOT NULL of a column that can be made without it.
                except sqlite3.IntegrityError:
                    path.unlink()
                    continue
                connection.commit()
            said = try_import(path, tmp_path / "out.h5")
            n += 1
            n_named += f"{table}, row" in said and f"column {column}" in said
            path.unlink()
    print(f"faults: {n} cells, {n_named} named")
    assert n_named > 150 // step


@pytest.mark.parametrize("era", _TABLES)
def test_a_database_with_wrong_bytes_is_refused_or_imported_clean(
    databases: dict[str, Path], tmp_path: Path, era: str
) -> None:
    chance = np.random.default_rng(5)
    content = databases[era].read_bytes()
    for _ in range(25):
        changed = bytearray(content)
        for place in chance.integers(0, len(content), 20):
            changed[place] ^= int(chance.integers(1, 256))
        (tmp_path / "corrupt.db").write_bytes(changed[: int(chance.integers(1, len(content)))])
        try_import(tmp_path / "corrupt.db", tmp_path / "out.h5")
        (tmp_path / "corrupt.db").write_bytes(changed)
        try_import(tmp_path / "corrupt.db", tmp_path / "out.h5")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("drop table embeddings; create view embeddings as with recursive c(n) as (select 1 union "
         "all select n + 1 from c) select n as id, 'M' as embedding_model, x'00000000' as vector, "
         "n as invocation_id from c", "computes its rows"),
        ("drop table persistence_diagrams; create table persistence_diagrams (id text, "
         "embedding_model text, diagram_data blob as (zeroblob(900000000)), started_at text, "
         "completed_at text, run_id text)", "is computed"),
        ("alter table runs drop column max_length", "no column max_length"),
        ("update embeddings set vector = zeroblob(300000000) where rowid = 1", "cannot be read"),
        ("update runs set initial_prompt = cast(x'ff41' as text)", "column initial_prompt"),
        ("update experiments set id = 'a b'", "column id"),
    ],
)  # fmt: skip
def test_a_schema_that_computes_and_a_cell_of_gigabytes_are_refused(
    databases: dict[str, Path], tmp_path: Path, statement: str, said: str
) -> None:
    path = tmp_path / "hostile.db"
    path.write_bytes(databases["elixir"].read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
        connection.commit()
    assert said in try_import(path, tmp_path / "out.h5")


def bomb(shape: tuple[int, ...]) -> bytes:
    """Return an .npz whose array claims a shape that its bytes do not have."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("dgms_count", "dgms_0", "entropy"):
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                head, {"descr": "<f4", "fortran_order": False, "shape": shape}
            )
            archive.writestr(f"{name}.npy", head.getvalue() + bytes(8))
    return stream.getvalue()


NILS = b"\x83l" + struct.pack(">I", 60_000_000)
DIAGRAMS = {
    "bomb": bomb((2**40,)), "npy": b"\x93NUMPY\x01\x00", "zip": b"PK\x03\x04",
    "dgms of numbers": erlang({"dgms": [1, 2], "entropy": []}),
    "entropy of a number": erlang({"dgms": [], "entropy": 3}),
    "many": erlang({"dgms": [[[0.0, 1.0]]] * 17, "entropy": []}),
    "a bar of three": erlang({"dgms": [[[0.0, 1.0, 2.0]]], "entropy": []}),
    "no map": erlang([1]), "nils": NILS + b"j" * 2_000_000 + b"j",
}  # fmt: skip


@pytest.mark.parametrize("name", DIAGRAMS)
@pytest.mark.parametrize("era", _TABLES)
def test_a_diagram_that_cannot_be_decoded_is_a_reason_and_the_rest_is_imported(
    databases: dict[str, Path], tmp_path: Path, era: str, name: str
) -> None:
    path = tmp_path / "hostile.db"
    path.write_bytes(databases[era].read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        table = _TABLES[era]["diagrams"]
        connection.execute(
            f"update {table} set diagram_data = ? where rowid = 1", (DIAGRAMS[name],)
        )
        connection.commit()
    import_upstream(path, tmp_path / "out.h5")
    assert verify_file(tmp_path / "out.h5").findings == ()
    with panic_hpc.open(tmp_path / "out.h5") as dataset:
        reasons = [dataset.reason(run, "Nomic") for run in range(dataset.n_runs)]
    assert sum("cannot be decoded" in reason for reason in reasons) == 1
    assert sum(reason == "" for reason in reasons) == len(reasons) - 1


def test_a_list_of_sixty_million_nils_costs_no_memory() -> None:
    with pytest.raises(PanicError, match="parts"):
        erlang_terms.decode_term(NILS + b"j" * 60_000_001)


def test_names_that_no_array_can_have_are_imported_under_others(tmp_path: Path) -> None:
    for number, name in enumerate(("a/b", "..", "f" * 150, "ü ", "digest")):
        path, target = tmp_path / f"{number}.db", tmp_path / f"{number}.h5"
        with closing(Writer(path, "elixir", n_runs=1, length=3).connection) as connection:
            connection.execute("update embeddings set embedding_model = ?", (name,))
            connection.execute("update persistence_diagrams set embedding_model = ?", (name,))
            connection.commit()
        imported = import_upstream(path, target)
        assert any(name in problem for problem in imported.problems)
        assert verify_file(target).findings == ()
        with panic_hpc.open(target) as dataset:
            [label] = [one for one in dataset.embedding_models if one != "Nomic"]
            assert len(dataset.trajectory(0, label)) == 1
            [model] = [one for one in dataset.metadata["models"] if one["name"] == label]
            assert model["settings"]["name"] == name


def test_vectors_of_two_lengths_become_two_models(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "db", "elixir", n_runs=1, length=5)
    longer = np.ones(6, np.float32).tobytes()
    with closing(writer.connection) as connection:
        connection.execute(
            "update embeddings set vector = ? where invocation_id in "
            "(select id from invocations where run_id = ?)", (longer, writer.run_ids[1])
        )  # fmt: skip
        connection.commit()
    assert import_upstream(tmp_path / "db", tmp_path / "d.h5").problems == ()
    assert verify_file(tmp_path / "d.h5").findings == ()
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        lengths = {
            model: {dataset.trajectory(run, model).shape for run in range(2)}
            for model in dataset.embedding_models
        }
    widths = sorted(shape[1] for shapes in lengths.values() for shape in shapes if shape[0])
    assert widths == [4, 6]


def test_experiments_are_chosen_by_how_their_id_begins(tmp_path: Path) -> None:
    first = Writer(tmp_path / "db", "elixir", n_runs=1, length=3)
    second = first.new_id()
    with closing(first.connection) as connection:
        connection.execute(
            "insert into experiments select ?, networks, prompts, embedding_models, max_length, "
            "num_runs, started_at, completed_at from experiments", (second,)
        )  # fmt: skip
        connection.execute("update runs set experiment_id = ? where id = ?",
                           (second, first.run_ids[0]))  # fmt: skip
        connection.execute("update invocations set seed = 'x' where run_id = ?",
                           (first.run_ids[0],))  # fmt: skip
        connection.commit()
    with pytest.raises(PanicError, match=r"invocations, row .*, column seed: 'x'") as refused:
        import_upstream(tmp_path / "db", tmp_path / "d.h5")
    assert f"--experiment {first.experiment.replace('-', '')}" in refused.value.hint
    import_upstream(tmp_path / "db", tmp_path / "d.h5", experiments=[first.experiment[:9]])
    with panic_hpc.open(tmp_path / "d.h5") as dataset:
        assert dataset.n_runs == 1
    with pytest.raises(PanicError, match="no experiments whose id begins with 'zz'"):
        import_upstream(tmp_path / "db", tmp_path / "d.h5", experiments=["zz"], force=True)


def test_a_fifo_and_a_directory_are_no_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(PanicError, match="no file"):
            import_upstream(path, tmp_path / "d.h5")
