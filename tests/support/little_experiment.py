"""Little experiments with arithmetic models, planned in a folder, and what became of them."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panic_hpc import installed
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import PlanOptions, make_plan
from panic_hpc.store.format.shard import open_shard

Digests = dict[tuple[str, str, bytes], bytes]

POLL_S = 0.5
HAS_NATIVE = importlib.util.find_spec("panic_hpc.homology._native") is not None
# Gudhi brings scikit-learn and SciPy, two seconds of every process that computes a diagram.
HOMOLOGY = {"engine": "lazy" if HAS_NATIVE else "gudhi", "maxdim": 1}
DEFAULTS: dict[str, Any] = {
    "networks": [["DummyT2I", "DummyI2T"]],
    "prompts": ["a red apple", "a small boat", "the moon"],
    "seeds": [1, 2],
    "embedding_models": ["DummyText"],
    "max_length": 12,
    "homology": HOMOLOGY,
}


def plan_little(root: Path, runs_per_shard: int = 2, delay_s: float = 0.0, **changes: Any) -> Path:
    """Plan a little experiment in `root`; `delay_s` is slept at every step of the runs."""
    models = {name: {"delay_s": delay_s, "batch_size": 2} for name in ("DummyT2I", "DummyI2T")}
    experiment = Experiment.model_validate({**DEFAULTS, "models": models, **changes})
    plan = make_plan(experiment, catalogue.load(), PlanOptions(runs_per_shard=runs_per_shard))
    manifest.write(plan, ExperimentPaths(root))
    return root


def digests(root: Path) -> Digests:
    """Return {(stage, model, run key): digest} over everything that is published.

    The content key of a dataset is made of these, so equal ones mean an equal key.
    """
    plan, paths = manifest.read(root), ExperimentPaths(root)
    found = {}
    for name, stage in installed.plugins("stages").items():
        for shard in stage.shards(plan) if name != "merge" else ():
            if paths.shard(shard).exists():
                with open_shard(paths.shard(shard), manifest_key=plan.key) as file:
                    keys, values = file.array("runs/key"), file.array("runs/digest")
                    for key, digest in zip(keys, values, strict=True):
                        found[name, shard.model, bytes(key)] = bytes(digest)
    return found


def with_folders(*folders: Path) -> dict[str, str]:
    """Return the environment of a Python that imports from these folders too."""
    # Behind what is there: tools/checks/try_safeguards.py changes modules of all processes by it.
    there = [before] if (before := os.environ.get("PYTHONPATH")) else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*there, *map(str, folders)])}


def command_line(*arguments: str | Path) -> list[str]:
    """Return the command that a user types."""
    return [sys.executable, "-m", "panic_hpc", *map(str, arguments)]


def run_command(*arguments: str | Path, code: int = 0, **options: Any) -> str:
    """Run a command as a user would, expect its exit code, and return all that it printed."""
    done = subprocess.run(
        command_line(*arguments),
        text=True,
        timeout=240,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 180.0) -> Any:
    """Return the first true value of `condition`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(POLL_S)
    return value


def workers_of(root: Path) -> list[int]:
    """Return the pids of the processes whose command line or pickle folder is under `root`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"submitit" in words and os.fsencode(root) in words:
            found.append(int(process.name))
    return found


def kill_workers(root: Path, number: int = signal.SIGKILL) -> int:
    """Signal the processes that work on shards (not submitit's controllers); return how many."""

    def is_worker(pid: int) -> bool:
        words = _command(pid)
        return b"_submit\0" in words and os.fsencode(root) in words

    return sum(signal_if(pid, number, is_worker) for pid in workers_of(root))


def signal_if(pid: int, number: int, is_it: Callable[[int], bool]) -> bool:
    """Signal a process if it is still the one that is meant; return whether it was there.

    Others may end at any time, and a stranger be given their pid: what is held open is asked.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if is_it(pid):
            signal.pidfd_send_signal(descriptor, number)
            return True
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
    return False


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
