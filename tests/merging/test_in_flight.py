"""Large arrays are copied and hashed as the copy reads: the same bytes, checked once."""

import os
import shutil
from pathlib import Path
from typing import Any

import experiments
import pytest

from panic_hpc.disk import copying, sha256
from panic_hpc.errors import ShardError
from panic_hpc.merging import digests
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.shard import open_shard

ALL, NONE = 1, 2**60
LARGE = {"runs": "images/values", "embeddings": "embeddings/vector"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose shards are all published."""
    planned = experiments.planned(tmp_path_factory.mktemp("in_flight") / "exp", runs_per_shard=2)
    planned.work("runs", "embeddings", "diagrams")
    return planned.paths.root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "exp")
    return tmp_path / "exp"


def made(root: Path, target: Path, least: int, patch: pytest.MonkeyPatch) -> ArrayFile:
    """Return the dataset of `root`, its arrays of `least` bytes and more copied in flight."""
    patch.setattr(digests, "IN_FLIGHT_BYTES", least)
    merge([root], target, MergeOptions())
    return ArrayFile(target)


def test_copying_in_flight_makes_the_same_dataset_of_bytes_read_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: set[str] = set()

    class Noting(digests.CopiedArrays):
        def copy(self, name: str, start: int, stop: int) -> None:
            copied.add(name)
            super().copy(name, start, stop)

        def slice(self, name: str, start: int, stop: int) -> Any:
            assert name not in LARGE.values() or not self.places
            return super().slice(name, start, stop)

    monkeypatch.setattr(digests, "CopiedArrays", Noting)
    with (
        made(root, tmp_path / "one.h5", NONE, monkeypatch) as apart,
        made(root, tmp_path / "other.h5", ALL, monkeypatch) as in_flight,
    ):
        in_flight.check_all()
        assert copied >= set(LARGE.values())
        assert in_flight.header["content_key"] == apart.header["content_key"]
        for name in set(apart.entries) - {"metadata"}:
            assert in_flight.whole(name).tobytes() == apart.whole(name).tobytes(), name


@pytest.mark.parametrize("stage", LARGE)
@pytest.mark.parametrize("least", [ALL, NONE])
@pytest.mark.usefixtures("way")
def test_a_changed_byte_is_found(
    root: Path, tmp_path: Path, stage: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = max((root / "shards" / stage).rglob("*.h5"))
    with open_shard(path) as shard:
        entry = shard.entry(LARGE[stage])
    place = entry.offset + entry.nbytes - 1
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardError, match=f"{path.name} is damaged: wrong bytes in {LARGE[stage]}"):
        made(root, tmp_path / "out.h5", least, monkeypatch)
    assert not (tmp_path / "out.h5").exists()
    assert not list(tmp_path.glob(".*.tmp"))


def test_bytes_that_are_no_runs_are_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be missing from what is copied in flight."""
    path = min((root / "shards" / "runs").rglob("*.h5"))
    with open_shard(path) as shard:
        place = shard.entry("images/offsets").offset
    content = bytearray(path.read_bytes())
    content[place] = 1
    path.write_bytes(content)
    with pytest.raises(ShardError, match="damaged"):
        made(root, tmp_path / "out.h5", ALL, monkeypatch)


@pytest.mark.usefixtures("way")
def test_a_copy_that_is_not_what_was_copied_is_found(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a shard that is whole, so that it is the copy that is to be distrusted."""
    real = copying.copy_range

    def careless(source: int, place: int, target: int, at: int, nbytes: int, name: str) -> None:
        real(source, place, target, at, nbytes, name)
        os.pwrite(target, bytes([os.pread(target, 1, at)[0] ^ 1]), at)

    monkeypatch.setattr(digests, "copy_range", careless)
    with pytest.raises(ShardError, match="did not keep what was copied from"):
        made(root, tmp_path / "out.h5", ALL, monkeypatch)


@pytest.fixture(params=["native", "hashlib"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "hashlib":
        monkeypatch.setattr(sha256, "find_native", lambda: None)


def test_runs_are_compared_together_in_bounded_groups() -> None:
    def ranges(*n_runs: int) -> list[digests.RunRange]:
        return [digests.RunRange(0, part, 0, n, 10 * n) for part, n in enumerate(n_runs)]

    every = ranges(1, 2, 20, *[4] * 5, 50, 1)
    found = [[one.last for one in group] for group in digests.groups(every, 200)]
    assert found == [[1, 2], [20], [4, 4, 4, 4], [4], [50], [1]]
    assert [one for group in digests.groups(every, 1) for one in group] == every
