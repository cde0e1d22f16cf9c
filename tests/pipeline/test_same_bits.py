"""The same experiment gives the same bits, whatever happens on the way (DESIGN.md, promise 1).

Every pipeline here is real: the command line, worker processes, shards, a merged dataset.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import panic_hpc

EXPERIMENT = """
name = "same-bits"
max_length = {max_length}
prompts = {prompts}
seeds = [1, 2, 3]
embedding_models = ["DummyText", "DummyVision"]

[[networks]]
models = ["DummyT2I", "DummyI2T"]
noise = "fixed"

[[networks]]
models = ["DummyT2I2", "DummyI2T2"]
noise = "per_step"

[models]
DummyT2I = {{ batch_size = 4 }}
DummyI2T = {{ batch_size = 2 }}
"""
PROMPTS = ["a red circle", "a boat", "a moon over water", "seven cups"]


def _panic_hpc(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "panic_hpc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _planned(
    root: Path, *options: object, prompts: list[str] = PROMPTS, max_length: int = 24
) -> Path:
    root.mkdir(parents=True)
    file = root / "experiment.toml"
    file.write_text(EXPERIMENT.format(prompts=prompts, max_length=max_length))
    done = _panic_hpc("plan", file, root / "exp", *options)
    assert done.returncode == 0, done.stderr
    return root / "exp"


def _submitted(experiment: Path, *options: object) -> None:
    done = _panic_hpc("submit", experiment, *options)
    assert done.returncode == 0, done.stdout + done.stderr


def _content_key(experiment: Path) -> str:
    with panic_hpc.open(experiment / "dataset.h5") as dataset:
        return dataset.content_key


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = _planned(tmp_path_factory.mktemp("undisturbed") / "a", "--runs-per-shard", 12)
    _submitted(experiment, "--executor", "inline")
    return experiment


@pytest.mark.parametrize(
    ("layout", "submission"),
    [
        ((), ("--executor", "inline")),
        pytest.param(("--runs-per-shard", 4), ("--workers", 1), marks=pytest.mark.long),
        (("--runs-per-shard", 4), ("--workers", 3)),
        pytest.param(("--runs-per-shard", 8), ("--workers", 2), marks=pytest.mark.long),
    ],
)
def test_shard_layout_and_workers_do_not_matter(
    tmp_path: Path, undisturbed: Path, layout: tuple[object, ...], submission: tuple[object, ...]
) -> None:
    experiment = _planned(tmp_path / "other", *layout)
    _submitted(experiment, *submission)
    assert _content_key(experiment) == _content_key(undisturbed)


def test_submitting_again_touches_nothing(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*.h5")}
    _submitted(undisturbed)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*.h5")} == before


def test_neighbours_in_a_batch_do_not_matter(tmp_path: Path, undisturbed: Path) -> None:
    """Runs that two experiments share have one key and one digest beside other neighbours."""
    others = [PROMPTS[0], "something else", PROMPTS[2], "\x1f [bold]other[/foo] neighbours \u202e"]
    experiment = _planned(tmp_path / "other", prompts=others)
    _submitted(experiment)
    with (
        panic_hpc.open(undisturbed / "dataset.h5") as one,
        panic_hpc.open(experiment / "dataset.h5") as two,
    ):
        digests = [dict(d.runs().select("key", "digest").iter_rows()) for d in (one, two)]
    shared = digests[0].keys() & digests[1].keys()
    assert len(shared) == 12
    assert {k: digests[0][k] for k in shared} == {k: digests[1][k] for k in shared}


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
def test_kills_at_random_moments_change_nothing(
    tmp_path: Path, undisturbed: Path, seed: int
) -> None:
    """SIGKILL to every process of a submission, until one gets through; the bits are the same."""
    dice = random.Random(seed)
    experiment = _planned(tmp_path / "killed", "--runs-per-shard", 4)
    for _ in range(4):
        _kill_after(experiment, dice.uniform(0.5, 4.0))
    _submitted(experiment)
    assert _content_key(experiment) == _content_key(undisturbed)


def _kill_after(experiment: Path, seconds: float) -> None:
    submit = subprocess.Popen(
        [sys.executable, "-m", "panic_hpc", "submit", str(experiment), "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    submit.send_signal(signal.SIGKILL)
    submit.wait()
    for process in _processes_on(experiment):
        subprocess.run(["kill", "-KILL", process], check=False, capture_output=True)


def _processes_on(experiment: Path) -> list[str]:
    """Return the pids of worker processes that were started for `experiment`."""
    found = subprocess.run(
        ["pgrep", "-f", str(experiment)], capture_output=True, text=True, check=False
    )
    return found.stdout.split()


@pytest.mark.long
def test_a_rerun_from_nothing_has_the_same_key(tmp_path: Path, undisturbed: Path) -> None:
    experiment = _planned(tmp_path / "again", "--runs-per-shard", 12)
    _submitted(experiment)
    assert _content_key(experiment) == _content_key(undisturbed)
