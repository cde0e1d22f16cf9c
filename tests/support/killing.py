"""Processes killed: workers as their files grow, until the work is done, and a pack half-way."""

import random
import signal
import subprocess
import sys
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

    The system kills each at the write, torn, by which a file of its would become larger than it
    may: than the journal was before, by a number of bytes drawn from `growth`.
    """
    [shard] = stage_named(stage).shards(experiment.manifest)
    journal = experiment.paths.checkpoint(shard)
    script = str(Path(__file__).with_name("worker_main.py"))
    rng, kills, size = random.Random(seed), 0, 0
    while not experiment.paths.shard(shard).exists():
        # Counted from what was written, and from where the last one died: of its file, or another.
        size = max(size, journal.stat().st_size if journal.exists() else 0) + rng.randrange(*growth)
        command = [sys.executable, script, str(experiment.paths.root), stage, str(size)]
        ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
        assert ended in (0, -signal.SIGXFSZ)
        kills += bool(ended)
    return kills
