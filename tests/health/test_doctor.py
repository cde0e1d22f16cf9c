"""doctor names what is wrong, moves it aside, and the same experiment comes out again."""

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import forge
import numpy as np
import pytest
from injuries import INJURIES
from little_experiment import command_line, plan_little

import panic_hpc
from panic_hpc.errors import PanicError
from panic_hpc.health import inconsistencies
from panic_hpc.health.inconsistencies import Inconsistency, inspect
from panic_hpc.health.installation import inspect_installation
from panic_hpc.health.repair import movable, quarantine
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.store.format.digest import run_digests
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.runs import OUTPUT_TRUNCATED
from panic_hpc.store.results.section import shard_section
from panic_hpc.workspace.failures import Failure, write_failure
from panic_hpc.workspace.lease_text import Lease, Progress, encode_lease
from panic_hpc.workspace.leases import take
from panic_hpc.workspace.process import this_process
from panic_hpc.workspace.workspace import Workspace, open_workspace


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment."""
    root = plan_little(tmp_path_factory.mktemp("done") / "EXP")
    submit(root)
    return root


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    root = tmp_path / "EXP"
    shutil.copytree(done, root)
    for path in root.rglob("*.h5"):
        path.chmod(0o644)
    return root


def submit(root: Path) -> str:
    """Compute what is missing; return the content key."""
    workspace = open_workspace(root)
    panic_hpc.submit(workspace, panic_hpc.request_for("local", executor="inline"), wait=True)
    with panic_hpc.open(workspace.paths.dataset) as dataset:
        return dataset.content_key


def found(root: Path, most_truncated: float = 1.0) -> list[Inconsistency]:
    workspace = open_workspace(root)
    return list(inspect(workspace, ALL, most_truncated, time.time(), lambda done, total: None))


def kinds(root: Path) -> set[str]:
    return {one.kind for one in found(root)}


def repaired(root: Path) -> Workspace:
    workspace = open_workspace(root)
    quarantine(workspace, movable(found(root)))
    return workspace


def files_of_each_kind(root: Path) -> list[Path]:
    shards = root / "shards"
    return [
        shards / "runs" / "runs_00001.h5",
        *sorted((shards / "embeddings").rglob("*_00001.h5")),
        *sorted((shards / "diagrams").rglob("*.h5"))[:1],
        root / "dataset.h5",
    ]


def test_nothing_is_wrong_with_a_finished_experiment(done: Path) -> None:
    assert found(done) == []


@pytest.mark.parametrize("injury", INJURIES)
def test_every_kind_of_file_is_repaired_to_the_same_content(
    done: Path, copy: Path, injury: str
) -> None:
    key = submit(done)
    chance = random.Random(injury)
    hurt = files_of_each_kind(copy)
    for path in hurt:
        other = next(p for p in [*sorted(path.parent.glob("*.h5")), done / "shards" / "runs" /
                                 "runs_00000.h5"] if p != path)  # fmt: skip
        INJURIES[injury](path, other, chance)
    named = {one.path for one in found(copy)}
    assert set(hurt) <= named
    workspace = repaired(copy)
    # What was made of a file that was moved away is as it should be.
    assert found(copy) == []
    assert not any(path.exists() for path in hurt)
    assert submit(copy) == key
    assert found(copy) == []
    moved = [p for p in (workspace.paths.root / "quarantine").rglob("*.h5")]
    assert len(moved) >= len(hurt)


def test_what_nothing_reads_and_what_is_stale_is_moved_away(copy: Path) -> None:
    paths = open_workspace(copy).paths
    shutil.copyfile(copy / "shards/runs/runs_00000.h5", copy / "shards/runs/runs_00099.h5")
    (copy / "shards/runs/.runs_00000.h5.123-0a1b2c3d.tmp").write_bytes(b"x")
    write_failure(paths.failed / "runs_00000.json", Failure("E", "r", "", "", "", "", 1.0))
    (copy / "checkpoints").mkdir(exist_ok=True)
    (copy / "checkpoints" / "runs_00001.journal").write_bytes(b"PANICJ01")
    gone = Lease("t", this_process(), "s", 1.0, progress=Progress(updated=1.0))
    dead = encode_lease(gone).replace(f'"pid": {os.getpid()}'.encode(), b'"pid": 4194304')
    paths.leases.mkdir(parents=True, exist_ok=True)
    (paths.leases / "runs_00000.json").write_bytes(dead)
    assert kinds(copy) == {"extra", "orphaned", "stale"}
    assert len(found(copy)) == 5
    repaired(copy)
    assert found(copy) == []


def test_what_a_worker_has_in_hand_is_not_left_behind(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = open_workspace(copy).paths
    (copy / "shards/runs/.runs_00000.h5.123-0a1b2c3d.tmp").write_bytes(b"x")
    (copy / "checkpoints").mkdir(exist_ok=True)
    (copy / "checkpoints" / "runs_00000.journal").write_bytes(b"PANICJ01")
    write_failure(paths.failed / "runs_00000.json", Failure("E", "r", "", "", "", "", 1.0))
    held = take(paths.leases / "runs_00000.json", this_process(), "s")
    assert held is not None
    # It has published, and has still to remove the rest.
    with held:
        assert found(copy) == []
    assert kinds(copy) == {"orphaned", "stale"}


def test_what_is_published_while_files_are_looked_for_has_its_source(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shard of runs, and all that is made of it.
    last = copy / "shards/runs/runs_00001.h5"
    made = [
        *(copy / "shards/embeddings").rglob("*_00001.h5"),
        *(copy / "shards/diagrams").rglob("*.h5"),
    ]
    away = {path: path.with_suffix(".away") for path in (last, *made)}
    verify, exists = cast(Any, inconsistencies).verify_experiment, Path.exists

    def verified(*asked: Any) -> Iterator[Any]:
        for path, place in away.items():
            path.rename(place)
        yield from verify(*asked)
        monkeypatch.setattr(Path, "exists", exists_and_comes)

    def exists_and_comes(path: Path) -> bool:
        was_there = exists(path)
        if path == last:
            for own, place in away.items():
                if exists(place):
                    place.rename(own)
        return was_there

    monkeypatch.setattr(inconsistencies, "verify_experiment", verified)
    monkeypatch.setattr(inconsistencies, "_records", lambda *asked: iter(()))
    monkeypatch.setattr(inconsistencies, "_unexpected_files", lambda *asked: iter(()))
    assert [one for one in found(copy) if one.kind == "sourceless"] == []
    assert exists(last)


def test_a_shard_whose_source_is_gone_is_told_and_kept(done: Path, copy: Path) -> None:
    (copy / "shards/runs/runs_00000.h5").unlink()
    sourceless = [one for one in found(copy) if one.kind == "sourceless"]
    assert sourceless
    assert movable(sourceless) == []
    assert submit(copy) == submit(done)
    assert found(copy) == []


def test_a_submission_that_cannot_be_read_is_told_and_never_moved(copy: Path) -> None:
    ledger = open_workspace(copy).paths.ledger
    ledger.mkdir(parents=True, exist_ok=True)
    (ledger / "x.json").write_text("[]")
    [one] = found(copy)
    assert (one.kind, one.quarantine) == ("unreadable", ())


def test_texts_that_were_cut_off_and_vectors_that_are_not_finite_are_told(copy: Path) -> None:
    def cut(flags: np.ndarray) -> np.ndarray:
        return flags | OUTPUT_TRUNCATED

    def not_finite(vectors: np.ndarray) -> np.ndarray:
        vectors[3] = np.nan
        return vectors

    runs = copy / "shards/runs/runs_00000.h5"
    [vectors, *_] = sorted((copy / "shards/embeddings").rglob("*.h5"))
    for path, name, change in (
        (runs, "invocations/flags", cut), (vectors, "embeddings/vector", not_finite)
    ):  # fmt: skip
        forge.overwrite(path, name, change)
        redigest(path)
    told = {(one.kind, one.path) for one in found(copy, most_truncated=0.9)}
    assert told >= {("truncated", runs), ("nan", vectors)}
    assert ("truncated", runs) not in {(one.kind, one.path) for one in found(copy, 1.0)}


def redigest(path: Path) -> None:
    """Make the runs' digests those of a forged shard's content."""
    with ArrayFile(path) as file:
        digests = np.array([d.encode() for _, d in run_digests(shard_section(file))], "S64")
    forge.overwrite(path, "runs/digest", lambda _: digests)


def test_nothing_is_moved_while_somebody_works(copy: Path) -> None:
    workspace = open_workspace(copy)
    held = take(workspace.paths.leases / "runs_00000.json", this_process(), "s")
    assert held
    with held, pytest.raises(PanicError, match="being worked on"):
        quarantine(workspace, [workspace.paths.dataset])
    assert workspace.paths.dataset.exists()


def run(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        command_line(*arguments), capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def test_the_verb_shows_before_it_moves_and_scripts_read_json(copy: Path) -> None:
    (copy / "shards/runs/runs_00099.h5").write_bytes(b"x")
    code, text = run("doctor", copy, "--json")
    assert code == 1
    assert [one["kind"] for one in json.loads(text)] == ["extra"]
    code, text = run("doctor", copy, "--fix", "--yes")
    assert code == 0
    assert text.index("To be moved") < text.index("Moved to")
    assert run("doctor", copy) == (0, f"{copy}: nothing is wrong\n")
    assert run("doctor", copy, "--offline")[0] == 0
    (copy / "shards/runs/runs_00099.h5").write_bytes(b"x")
    code, text = run("doctor", copy, "--fix", "--yes", "--json")
    assert code == 0
    assert [one["kind"] for one in json.loads(text)] == ["extra"]


def test_the_installation_is_told_on_one_screen() -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        command_line("doctor", "--self"), capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines if "/" not in line)
    assert "pydantic" in done.stdout


def test_the_installation_is_looked_at_without_importing_what_takes_seconds() -> None:
    by_name = {one.name: one for one in inspect_installation({"TMPDIR": "/nowhere/at/all"})}
    assert by_name["pydantic"].state == "ok"
    assert by_name["panic-hpc"].state == "ok"
    assert all(one.hint for one in by_name.values() if one.state != "ok")
    assert {"native core", "native hashing", "sbatch", "locale", "terminal"} <= by_name.keys()
