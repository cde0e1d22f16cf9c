"""No verb replaces what it reads, an experiment's shards, or, unasked, what it did not make."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import experiments
import pytest
import upstream_databases as upstream
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.cli import app, register_verbs
from panic_hpc.disk.overwriting import Occupant, refusal
from panic_hpc.errors import PanicError
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.split import split
from panic_hpc.stages.merge.experiments import merge

register_verbs(app)
NOTES = "precious\n"


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> str:
    done = run(*words)
    assert done.exit_code != 0, done.output
    assert isinstance(done.exception, PanicError), done.exception
    return str(done.exception)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose shards are all published and which has a dataset."""
    planned = experiments.planned(tmp_path_factory.mktemp("over") / "exp", seeds=[1])
    planned.work("runs", "embeddings", "diagrams", "merge")
    return planned.paths.root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "exp")
    return tmp_path / "exp"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    upstream.Writer(tmp_path / "db.sqlite", "elixir", 1, 3).connection.close()
    return tmp_path / "db.sqlite"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", ["merge", "import"])
def test_notes_are_replaced_with_force_only(
    root: Path, database: Path, tmp_path: Path, verb: str
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text(NOTES)
    source = {"merge": root, "import": database}[verb]
    said = refused(verb, source, "-o", notes)
    assert "notes.txt is there already and would be replaced: a file of 9 bytes" in said
    assert "--force" in said
    assert notes.read_text() == NOTES
    done = run(verb, source, "-o", notes, "--force")
    assert done.exit_code == 0, done.output
    assert panic_hpc.open(notes).n_runs > 0


def spellings(source: Path, aside: Path) -> dict[str, Path]:
    """Return names of the file `source`: its own, one with dots, links of both kinds."""
    (aside / "folder").mkdir()
    (aside / "symbolic").symlink_to(source)
    (aside / "directory").symlink_to(source.parent, target_is_directory=True)
    os.link(source, aside / "hard")
    return {
        "own": source,
        "dots": aside / "folder" / ".." / os.path.relpath(source, aside),
        "relative": Path(os.path.relpath(source)),
        "symbolic": aside / "symbolic",
        "through a folder": aside / "directory" / source.name,
        "hard": aside / "hard",
    }


NAMES = ("own", "dots", "relative", "symbolic", "through a folder", "hard")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_merge_never_replaces_its_shards(
    root: Path, tmp_path: Path, name: str, force: tuple[str, ...]
) -> None:
    shard = next((root / "shards" / "runs").rglob("*.h5"))
    target = spellings(shard, tmp_path)[name]
    before = everything(root)
    said = refused("merge", root, "-o", target, *force)
    assert "input of this command" in said
    assert everything(root) == before
    assert target.samefile(shard)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_an_import_never_replaces_its_database(
    database: Path, tmp_path: Path, name: str, force: tuple[str, ...]
) -> None:
    target = spellings(database, tmp_path)[name]
    before = database.read_bytes()
    assert "input of this command" in refused("import", database, "-o", target, *force)
    assert database.read_bytes() == before


def test_the_digest_file_beside_a_dataset_is_an_output_too(database: Path, tmp_path: Path) -> None:
    source = database.rename(tmp_path / "d.h5.digest")
    before = source.read_bytes()
    said = refused("import", source, "-o", tmp_path / "d.h5", "--force")
    assert "d.h5.digest is an input" in said
    assert source.read_bytes() == before
    (tmp_path / "e.h5.digest").write_text(NOTES)
    assert "e.h5.digest is there already" in refused("import", source, "-o", tmp_path / "e.h5")
    assert (tmp_path / "e.h5.digest").read_text() == NOTES


@pytest.mark.parametrize(
    "place", ["manifest.json", "prompts.json", "shards/runs/new.h5", "jobs/x.h5", "failed/x.h5"]
)
def test_nothing_is_written_among_an_experiment_s_shards_and_records(
    root: Path, database: Path, tmp_path: Path, place: str
) -> None:
    before = everything(root)
    for words in (("merge", root), ("import", database)):
        assert "exp" in refused(*words, "-o", root / place, "--force")
    (tmp_path / "aside").symlink_to((root / place).parent, target_is_directory=True)
    target = tmp_path / "aside" / Path(place).name
    assert "exp" in refused("import", database, "-o", target, "--force")
    for verb in ("parquet", "images"):
        said = refused("export", verb, root, "-o", root / "shards" / "out", "--force")
        assert "shards and records of the experiment" in said
    assert everything(root) == before


def test_the_own_dataset_is_merged_again_without_force(root: Path, tmp_path: Path) -> None:
    for target in (root / "dataset.h5", tmp_path / "elsewhere.h5"):
        shard = next((root / "shards" / "diagrams").rglob("*.h5"))
        shard.rename(tmp_path / "late.h5")
        assert run("merge", root, "-o", target, "--allow-missing").exit_code == 0
        (tmp_path / "late.h5").rename(shard)
        done = run("merge", root, "-o", target)
        assert done.exit_code == 0, done.output
        assert "merged" in done.output
        with panic_hpc.open(target) as dataset:
            assert dataset.file.header["n_missing"] == 0


def test_a_damaged_dataset_is_made_anew_in_its_own_place_only(root: Path, tmp_path: Path) -> None:
    damaged = (root / "dataset.h5").read_bytes()[:-100]
    for target in (root / "dataset.h5", tmp_path / "aside.h5"):
        target.unlink(missing_ok=True)
        target.write_bytes(damaged)
    assert run("merge", root).exit_code == 0
    assert "an HDF5 file of" in refused("merge", root, "-o", tmp_path / "aside.h5")
    (root / "dataset.h5").unlink()
    (root / "dataset.h5.digest").unlink()
    (root / "dataset.h5").write_text(NOTES)
    assert "dataset.h5 is there already" in refused("merge", root)
    assert (root / "dataset.h5").read_text() == NOTES


def test_a_dataset_of_other_experiments_is_not_replaced_unasked(root: Path, tmp_path: Path) -> None:
    other = experiments.planned(tmp_path / "other", seeds=[2])
    other.work("runs", "embeddings", "diagrams", "merge")
    before = other.paths.dataset.read_bytes()
    for sources in ((root,), (root, other.paths.root)):
        refused("merge", *sources, "-o", other.paths.dataset)
    assert other.paths.dataset.read_bytes() == before
    (part, *_) = split(root / "dataset.h5", tmp_path, 10**9)
    refused("merge", root, "-o", part)


def test_a_database_is_imported_again_without_force(database: Path, tmp_path: Path) -> None:
    first = json.loads(run("import", database, "-o", tmp_path / "d.h5", "--json").output)
    again = run("import", database, "-o", tmp_path / "d.h5", "--json")
    assert again.exit_code == 0, again.exception
    assert json.loads(again.output)["content_key"] == first["content_key"]


def test_what_comes_to_stand_there_during_a_merge_is_not_replaced(
    root: Path, tmp_path: Path
) -> None:
    target = tmp_path / "d.h5"

    def report(done: int, total: int) -> None:
        target.write_text(NOTES)

    with pytest.raises(PanicError, match="is there already"):
        merge([root], target, MergeOptions(report=report))
    assert target.read_text() == NOTES


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_is_never_replaced(
    root: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    target = tmp_path / "odd"
    make(target)
    before = target.lstat()
    refused("merge", root, "-o", target, "--force")
    assert target.lstat() == before


def test_a_link_that_leads_nowhere_is_somebody_s(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    assert "a link to gone" in refused("merge", root, "-o", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()


def test_stale_files_of_a_name_with_wildcards_are_its_own(root: Path, tmp_path: Path) -> None:
    other = tmp_path / ".thesis.h5.1-0123abcd.tmp"
    other.write_text(NOTES)
    os.utime(other, (0, 0))
    assert run("merge", root, "-o", tmp_path / "*").exit_code == 0
    assert other.read_text() == NOTES


def test_exports_replace_nothing_unasked(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    out.mkdir()
    (out / "diagram_runs.parquet").write_text(NOTES)
    said = refused("export", "parquet", root, "-o", out)
    assert "diagram_runs.parquet is there already" in said
    # All or nothing: none of the others was written before that was noticed.
    assert everything(out) == {str(out / "diagram_runs.parquet"): NOTES.encode()}
    assert "it holds 'diagram_runs.parquet'" in refused("export", "images", root, "-o", out)
    refused("export", "crate", root, "-o", out, "--title", "T", "--author", "D, J")
    assert run("export", "parquet", root, "-o", out, "--force").exit_code == 0
    assert run("export", "images", root, "-o", out, "--force").exit_code == 0
    for verb in (("parquet",), ("images",), ("crate", "--title", "T", "--author", "D, J")):
        said = refused("export", *verb, root, "-o", root / "dataset.h5")
        assert "dataset.h5" in said
    with panic_hpc.open(root / "dataset.h5") as dataset:
        dataset.file.check_all()


def test_an_export_never_replaces_the_dataset_nor_writes_through_a_link(
    root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    assert run("export", "images", root, "-o", out).exit_code == 0
    picture, other = sorted(out.rglob("*.webp"))[:2]
    picture.unlink()
    (tmp_path / "notes.txt").write_text(NOTES)
    picture.symlink_to(tmp_path / "notes.txt")
    other.unlink()
    os.link(root / "dataset.h5", other)
    assert "input of this command" in refused("export", "images", root, "-o", out, "--force")
    assert (tmp_path / "notes.txt").read_text() == NOTES
    assert not picture.is_symlink()
    (root / "dataset.h5").rename(tmp_path / "runs.parquet")
    said = refused("export", "parquet", tmp_path / "runs.parquet", "-o", tmp_path, "--force")
    assert "input of this command" in said


def test_the_decision_looks_at_inputs_before_force() -> None:
    target = Path("t")
    own, foreign = Occupant("file", "x", is_own=True), Occupant("file", "x")
    assert refusal(target, Occupant("nothing"), False) is None
    assert refusal(target, own, False) is None
    assert refusal(target, foreign, True) is None
    assert "x" in str(refusal(target, foreign, False))
    for never in (
        Occupant("file", "x", source=Path("s"), is_own=True),
        Occupant("file", "x", experiment=Path("e"), is_own=True),
        Occupant("directory"),
        Occupant("other"),
    ):
        assert refusal(target, never, True) is not None
