"""One worker process through many shards of the smallest size: no file, thread or memory stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from little_experiment import plan_little

COUNTING = """
import gc, os, sys, threading
from panic_hpc.worker.worker import WorkerOptions, run_shards

def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def counts():
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), resident()

root, half, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
assert run_shards(root, "runs", list(range(half)), WorkerOptions("s")) == 0
before = counts()
assert run_shards(root, "runs", list(range(half, total)), WorkerOptions("s")) == 0
print("counts", *before, *counts())
"""


@pytest.mark.parametrize("shards", [60, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_worker_keeps_no_file_and_no_thread_of_a_shard(tmp_path: Path, shards: int) -> None:
    seeds = list(range(2 * shards))
    root = plan_little(tmp_path / "EXP", 2, prompts=["a"], seeds=seeds, max_length=2)
    command = [sys.executable, "-c", COUNTING, str(root), str(shards // 2), str(shards)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    last = said.splitlines()[-1].split()
    files, threads, nbytes, files_after, threads_after, nbytes_after = map(int, last[1:])
    assert len(os.listdir(root / "shards/runs")) == shards
    assert (files_after, threads_after) == (files, threads)
    # Of 10,000 shards a kilobyte each would be ten megabytes.
    assert nbytes_after - nbytes < 8 * 2**20
