"""What a merge keeps of each shard is little: ranks of large experiments know tens of thousands."""

import errno
import pickle
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import experiments
import numpy as np
import pytest
import synthetic

from panic_hpc.disk import spool
from panic_hpc.disk.spool import Spool
from panic_hpc.keys import content_key, content_key_of_lists
from panic_hpc.merging.digests import stretches
from panic_hpc.merging.inputs import Input, read_source
from panic_hpc.merging.layout import units
from panic_hpc.merging.plan import plan_merge
from panic_hpc.merging.run_sources import Parts, RunSources, Source, Sources
from panic_hpc.planning import manifest
from panic_hpc.store.format.header import ArrayEntry
from panic_hpc.store.format.packed_entries import PackedEntries, pack
from panic_hpc.store.format.shard import Stream, open_shard

N = 100
# A header parsed is 15 kB and more. Half of what is left is the text that the dataset repeats.
SHARD_BYTES = 6000
# Rows at which its parts begin, 80 of these, and 48 of the numbers that decide what goes where.
PLAN_BYTES = 250


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


def with_runs(source: Source, number: int, n_runs: int) -> Source:
    """Return the shard `number` of an experiment, of so many runs, that looks like another."""
    keys = range(number * n_runs, (number + 1) * n_runs)
    return replace(
        source,
        path=f"{source.path}{number}",
        index=number,
        first_run=keys.start,
        run_keys=np.array([b"%032x" % key for key in keys], "S32"),
        digests=np.array([b"%064x" % key for key in keys], "S64"),
        counts={name: np.ones(n_runs, counts.dtype) for name, counts in source.counts.items()},
        told=f"{source.told} of {number}",
    )


def peak_of_plan(source: Source, folder: Path, n_shards: int, n_runs: int) -> int:
    """Return the most memory that a rank holds while it plans and goes through all of a merge."""
    experiment = replace(synthetic.Experiment(folder).info, n_runs=n_shards * n_runs)
    tracemalloc.start()
    with Spool[Source](folder / "out") as kept:
        sources = Sources(kept)
        for number in range(n_shards):
            sources.append(with_runs(source, number, n_runs))
        plan = plan_merge([experiment], sources, [])
        contents = plan.contents()
        for one in contents.own.values():
            n_told = sum(map(len, one.blocks)) if isinstance(one, Stream) else len(one)
            assert n_told == one.shape[0]
        n_units = sum(1 for _ in units(plan.job.tables, plan.job.arrays, sources))
        assert n_units > sum(1 for _ in stretches(plan.job.tables)) == n_shards
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_plan_is_as_large_whether_its_runs_lie_in_few_shards_or_in_many(
    shard: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Full in both cases.
    monkeypatch.setattr(spool, "CACHED_BATCHES", 2)
    source = read_source(shard)
    few, many = (peak_of_plan(source, tmp_path, 1600 // n, n) for n in (8, 1))
    assert (many - few) / 1400 < PLAN_BYTES


def test_what_is_up_to_date_needs_no_place_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = synthetic.Experiment(tmp_path / "exp")
    inputs = synthetic.write(experiment, [6, 6])
    target = tmp_path / "d.h5"
    assert synthetic.merged(target, (experiment, inputs)).is_new
    real = tempfile.TemporaryFile

    def read_only(dir: Path | None = None) -> Any:
        if dir is not None:
            raise OSError(errno.EROFS, "Read-only file system")
        return real()

    monkeypatch.setattr(spool, "TemporaryFile", read_only)
    assert not synthetic.merged(target, (experiment, inputs)).is_new


@pytest.mark.parametrize("lists", [[], [[]], [["a"], []], [['"', "ä\n"], ["b", "c", "d"]]])
def test_the_key_of_lists_that_are_never_whole_is_theirs(lists: list[list[str]]) -> None:
    assert content_key_of_lists(*map(iter, lists)) == content_key(lists)


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
