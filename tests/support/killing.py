"""Processes killed: workers as their journal grows, until the work is done, and a pack half-way."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from experiments import Planned, stage_named

PACK = """
import os, signal, sys
from pathlib import Path
from panic_hpc.merging.packing import pack
pack(Path(sys.argv[1]), Path(sys.argv[1]), report=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
"""


def kill_a_pack(dataset: Path) -> Path:
    """Kill a process that packs a dataset once it has copied a part; return what it leaves."""
    done = subprocess.run([sys.executable, "-c", PACK, str(dataset)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = dataset.parent.glob(f".{dataset.name}.*.tmp")
    return left


def kill_until_done(experiment: Planned, stage: str, seed: int, growth: tuple[int, int]) -> int:
    """Work on a stage's only shard in processes of its own; return how many of them were killed.

    Each is killed once the journal has grown by a number of bytes drawn from `growth`.
    """
    [shard] = stage_named(stage).shards(experiment.manifest)
    journal = experiment.paths.checkpoint(shard)
    script = str(Path(__file__).with_name("worker_main.py"))
    command = [sys.executable, script, str(experiment.paths.root), stage]
    rng, kills, size = random.Random(seed), 0, 0
    while not experiment.paths.shard(shard).exists():
        with subprocess.Popen(command) as process:
            size += rng.randrange(*growth)
            kills += _kill_when_larger(process, journal, size)
        assert process.returncode in (0, -signal.SIGKILL)
        size = max(size, _size(journal))
    return kills


def _kill_when_larger(process: "subprocess.Popen[bytes]", journal: Path, nbytes: int) -> bool:
    """Kill a process once its journal has grown; False where it ended before."""
    while process.poll() is None:
        if _size(journal) >= nbytes:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.001)
    return False


def _size(journal: Path) -> int:
    """The bytes of a journal; 0 where there is none yet, or none any more (its shard is out)."""
    try:
        return journal.stat().st_size
    except FileNotFoundError:
        return 0
