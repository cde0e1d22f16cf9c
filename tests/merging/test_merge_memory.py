"""What a merge keeps of each shard is little: ranks of large experiments know tens of thousands."""

import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import experiments
import numpy as np
import pytest

from panic_hpc.merging.inputs import Input, read_source
from panic_hpc.merging.run_sources import Parts, RunSources
from panic_hpc.planning import manifest
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.format.packed_entries import PackedEntries, pack
from panic_hpc.store.format.shard import open_shard

N = 100
# A header parsed is 15 kB and more. Half of what is left is the text that the dataset repeats.
SHARD_BYTES = 6000


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """A published shard of the runs stage, as a merge expects it."""
    planned = experiments.planned(tmp_path_factory.mktemp("memory") / "exp", runs_per_shard=2)
    planned.work("runs")
    (first, *_) = experiments.stage_named("runs").shards(planned.manifest)
    key = manifest.read(planned.paths.root).key
    return Input(0, first, planned.paths.shard(first), key, "")


def kept_bytes(make: Callable[[], Any]) -> float:
    """Return the bytes that each of N results of `make` holds while all are kept."""
    kept = [make()]
    tracemalloc.start()
    kept += [make() for _ in range(N)]
    held = tracemalloc.get_traced_memory()[0] / N
    tracemalloc.stop()
    assert len(kept) == N + 1
    return held


def test_what_is_kept_of_a_shard_is_small(shard: Input) -> None:
    assert kept_bytes(lambda: read_source(shard)) < SHARD_BYTES


def test_what_ranks_send_each_other_of_a_shard_is_small(shard: Input) -> None:
    source = read_source(shard)
    content = pickle.dumps([source])
    assert kept_bytes(lambda: pickle.loads(content)) < SHARD_BYTES


def test_packed_entries_are_those_of_the_header(shard: Input) -> None:
    with open_shard(shard.path) as file:
        packed = pack(file.entries)
        assert isinstance(packed, PackedEntries)
        assert packed == file.entries
        assert pickle.loads(pickle.dumps(packed)) == file.entries
        assert "images/nothing" not in packed


@pytest.mark.parametrize(
    "entry", [ArrayEntry("|u1", (3,), 8, blocks=(0, 1)), ArrayEntry("|u1", (), 8, ("0" * 64,))]
)
def test_entries_of_other_files_stay_as_they_are(entry: ArrayEntry) -> None:
    assert pack({"one": entry}) == {"one": entry}


def test_parts_take_32_bytes_each() -> None:
    found = RunSources(np.arange(1000), np.zeros(1000, np.int64)).parts()
    assert isinstance(found, Parts)
    assert found.rows.nbytes == 32 * 1000
    assert [(one.source, one.first_run) for one in found] == [(n, n) for n in range(1000)]
    assert RunSources(np.arange(0), np.arange(0)).parts().rows.shape == (0, 4)
