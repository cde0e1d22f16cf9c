"""Shards: published whole or not at all, verified on opening, refused where they are not ours."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import forge
import h5py
import numpy as np
import pytest
import synthetic
from synthetic import Experiment

from panic_hpc.disk import blocks
from panic_hpc.errors import ConflictError, PanicError, ShardError
from panic_hpc.store.format import hdf5
from panic_hpc.store.format.shard import ShardHeader, Stream, open_shard, publish_shard

PLACES = [str(Path(file).parent) for file in (__file__, synthetic.__file__, forge.__file__)]
HEADER = ShardHeader("runs", 3, "", "the key", {"cpu": "a Xeon"}, {"host": "here ☾"})


def arrays(twist: str = "") -> dict[str, Any]:
    experiment = Experiment(Path(), twist=twist)
    return synthetic.runs_arrays(experiment, 0, experiment.runs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    publish_shard(tmp_path / "runs_00003.h5", HEADER, arrays())
    return tmp_path / "runs_00003.h5"


def test_what_was_published_is_read(path: Path) -> None:
    with open_shard(path, manifest_key="the key") as shard:
        assert shard.shard_header == HEADER
        for name, array in arrays().items():
            if name not in ("invocations/started", "invocations/seconds"):
                assert np.array_equal(shard.array(name), array), name
        assert np.array_equal(shard.slice("runs/seed", 2, 5), arrays()["runs/seed"][2:5])
    assert path.stat().st_mode & 0o777 == 0o444
    assert list(path.parent.iterdir()) == [path]


def test_h5py_alone_reads_it(path: Path) -> None:
    with h5py.File(path, "r") as file:
        assert np.array_equal(file["images/values"][()], arrays()["images/values"])
        assert file["images/values"].chunks is None


def test_streams_are_written_block_by_block(tmp_path: Path) -> None:
    given = arrays()
    values = given["images/values"]
    pieces = (values[start : start + 7] for start in range(0, len(values), 7))
    given["images/values"] = Stream("|u1", values.shape, pieces)
    publish_shard(tmp_path / "s.h5", HEADER, given)
    with open_shard(tmp_path / "s.h5") as shard:
        assert np.array_equal(shard.array("images/values"), values)
    given["images/values"] = Stream("|u1", values.shape, [values[:-1]])
    with pytest.raises(ShardError, match="images/values was announced"):
        publish_shard(tmp_path / "t.h5", HEADER, given)
    assert not (tmp_path / "t.h5").exists()


def test_arrays_of_many_blocks_are_checked_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 64)
    publish_shard(tmp_path / "s.h5", HEADER, arrays())
    with open_shard(tmp_path / "s.h5") as shard:
        entry = shard.entry("images/values")
    assert len(entry.sha256) == -(-entry.nbytes // 64)
    forge.flip(forge.copied(tmp_path / "s.h5", tmp_path / "t.h5"), entry.offset + 100)
    with pytest.raises(ShardError, match="images/values"):
        open_shard(tmp_path / "t.h5")


def test_checksums_of_a_part_of_an_array_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_shard(path) as shard:
        sums = list(shard.block_sums("images/values"))
        monkeypatch.setattr(type(shard), "block_sums", lambda self, name: iter(sums[:-1]))
        with pytest.raises(ShardError, match="a part of images/values"):
            shard.check("images/values")


def test_the_first_to_publish_wins_if_the_content_is_the_same(path: Path) -> None:
    before = path.stat().st_ino
    assert publish_shard(path, HEADER, arrays()) is False
    assert path.stat().st_ino == before
    other = replace(HEADER, numerics={"cpu": "an EPYC"})
    with pytest.raises(ConflictError, match=r"Xeon.*EPYC"):
        publish_shard(path, other, arrays(twist="!"))
    assert list(path.parent.iterdir()) == [path]


def wrong_dtype(given: dict[str, Any]) -> None:
    given["runs/seed"] = given["runs/seed"].astype("<u8")


def missing(given: dict[str, Any]) -> None:
    del given["texts/values"]


def unknown(given: dict[str, Any]) -> None:
    given["runs/colour"] = given["runs/seed"]


def too_few(given: dict[str, Any]) -> None:
    given["invocations/seed"] = given["invocations/seed"][:-1]


def past_the_end(given: dict[str, Any]) -> None:
    given["texts/invocation"][-1] = 10**6


def descending(given: dict[str, Any]) -> None:
    given["images/offsets"][1] = -5


def digest(given: dict[str, Any]) -> None:
    given["runs/digest"] = np.zeros(12, "S64")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (wrong_dtype, "runs/seed has dtype"),
        (missing, "texts/values is missing"),
        (unknown, "runs/colour"),
        (too_few, "invocations/seed has"),
        (past_the_end, "texts/invocation points outside"),
        (descending, "images/offsets descends"),
        (digest, "made when a shard is published"),
    ],
)
def test_arrays_that_contradict_the_schema_are_not_published(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    given = arrays()
    change(given)
    with pytest.raises(ShardError, match=words):
        publish_shard(tmp_path / "s.h5", HEADER, given)
    assert list(tmp_path.iterdir()) == []


def test_digests_depend_on_content_and_not_on_times_or_neighbours(tmp_path: Path) -> None:
    experiment = Experiment(Path())
    publish_shard(tmp_path / "all.h5", HEADER, arrays())
    later = synthetic.runs_arrays(experiment, 4, experiment.runs[4:9])
    publish_shard(tmp_path / "some.h5", HEADER, later)
    with open_shard(tmp_path / "all.h5") as one, open_shard(tmp_path / "some.h5") as two:
        assert np.array_equal(one.array("runs/digest")[4:9], two.array("runs/digest"))
        assert len(set(one.array("runs/digest").tolist())) == 12
    publish_shard(tmp_path / "twisted.h5", HEADER, arrays(twist="!"))
    with open_shard(tmp_path / "all.h5") as one, open_shard(tmp_path / "twisted.h5") as two:
        has_text = np.diff(np.searchsorted(one.array("texts/invocation"), np.cumsum(
            np.concatenate([[0], one.array("runs/n_steps")])))) > 0  # fmt: skip
        differs = one.array("runs/digest") != two.array("runs/digest")
        assert np.array_equal(differs, has_text)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def foreign(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["runs/seed"] = np.arange(3)


def newer(path: Path) -> None:
    forge.restamp(path, lambda found: found | {"version": [2, 0]})


def dataset(path: Path) -> None:
    forge.restamp(
        path,
        lambda found: {k: v for k, v in found.items() if k != "kind"} | {"kind": "dataset"[:5]},
    )


def huge(path: Path) -> None:
    def change(found: Any) -> Any:
        found["arrays"]["runs/seed"]["shape"] = [2**40]
        found["provenance"] = {}
        return found

    forge.restamp(path, change)


def behind_a_link(path: Path) -> None:
    def change(file: h5py.File) -> None:
        content = file["header"][()]
        del file["header"]
        with h5py.File(path.with_name("outside.h5"), "w") as outside:
            outside["header"] = content
        file["header"] = h5py.ExternalLink("outside.h5", "/header")

    forge.edit(path, change)


def outside_storage(path: Path) -> None:
    def change(file: h5py.File) -> None:
        size = file["header"].shape[0]
        del file["header"]
        file.create_dataset("header", (size,), "u1", external=[("/etc/passwd", 0, size)])

    forge.edit(path, change)


def virtual(path: Path) -> None:
    def change(file: h5py.File) -> None:
        size = file["header"].shape[0]
        del file["header"]
        layout = h5py.VirtualLayout((size,), "u1")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "header", (size,))
        file.create_virtual_dataset("header", layout)

    forge.edit(path, change)


def filtered(path: Path) -> None:
    def change(file: h5py.File) -> None:
        content = file["header"][()]
        del file["header"]
        file.create_dataset("header", data=content, compression="gzip")

    forge.edit(path, change)


def references(path: Path) -> None:
    def change(file: h5py.File) -> None:
        target = file["runs"].ref
        del file["header"]
        file.create_dataset("header", data=[target] * 3, dtype=h5py.ref_dtype)

    forge.edit(path, change)


def absurd(path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["header"]
        file.create_dataset("header", (2**43,), "u1", chunks=None)

    forge.edit(path, change)


@pytest.mark.parametrize(
    "attack",
    [truncate, foreign, newer, dataset, huge, behind_a_link, outside_storage, virtual, filtered,
     references, absurd],
)  # fmt: skip
def test_files_that_are_not_what_they_should_be_are_refused(
    path: Path, attack: Callable[[Path], None]
) -> None:
    path.chmod(0o644)
    attack(path)
    with pytest.raises(ShardError, match=r"runs_00003\.h5"):
        open_shard(path)


def test_other_experiments_and_absent_files_are_refused(path: Path) -> None:
    with pytest.raises(ShardError, match="another experiment"):
        open_shard(path, manifest_key="another key")
    with pytest.raises(ShardError, match="does not exist"):
        open_shard(path.with_name("no.h5"))


def test_a_file_that_another_replaces_while_it_is_opened_is_not_told_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "s.h5", tmp_path / "l.h5"
    publish_shard(small, HEADER, arrays())
    header = replace(HEADER, provenance={"host": "x" * 50_000})
    publish_shard(large, header, arrays())
    locate = hdf5.locate_header

    def replaced(path: Path) -> tuple[int, int, int]:
        # Between the two looks that opening takes.
        found = locate(path)
        if large.exists():
            large.rename(path)
        return found

    monkeypatch.setattr(hdf5, "locate_header", replaced)
    with open_shard(small, manifest_key="the key") as shard:
        assert shard.shard_header == header
        shard.check_all()


def test_a_later_minor_version_is_read(path: Path) -> None:
    path.chmod(0o644)
    forge.restamp(path, lambda found: found | {"version": [1, 7]})
    with open_shard(path) as shard:
        assert shard.rows("runs/key") == 12


def test_every_cut_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    path.chmod(0o644)
    for size in np.linspace(0, len(content) - 1, 25).astype(int).tolist():
        path.write_bytes(content[:size])
        with pytest.raises(ShardError):
            open_shard(path)


def test_a_full_disk_is_noticed_before_and_during(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)
    fields = list(real)
    fields[4] = 10
    monkeypatch.setattr(os, "statvfs", lambda place: os.statvfs_result(fields))
    with pytest.raises(PanicError, match="are free"):
        publish_shard(tmp_path / "s.h5", HEADER, arrays())
    monkeypatch.undo()
    code = """if True:
        import resource, signal, sys
        sys.path[:0] = sys.argv[2:]
        import test_shard
        from panic_hpc.errors import PanicError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
        try:
            test_shard.publish_shard(
                test_shard.Path(sys.argv[1]) / "s.h5", test_shard.HEADER, test_shard.arrays())
        except PanicError as error:
            print("refused", error)
    """
    command = [sys.executable, "-c", code, str(tmp_path), *PLACES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert "refused" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_filters_from_files_cannot_be_loaded(tmp_path: Path) -> None:
    code = "import h5py; from panic_hpc.store.format import hdf5; print(h5py.h5pl.size())"
    environment = os.environ | {"HDF5_PLUGIN_PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"
    hdf5.forget_plugins()
