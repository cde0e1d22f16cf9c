"""A series on a real Slurm goes on by itself, to the same end as here, whatever was cancelled."""

import json
from pathlib import Path
from typing import Any

import pytest
from clusters import profile, slurm_command
from little_experiment import run_command, wait_for

import panic_hpc
from panic_hpc.backends.base import request_for
from panic_hpc.evolution.by_jobs import stop_of
from panic_hpc.evolution.driving import advance, read_plan, start
from panic_hpc.evolution.series_file import read_series

pytestmark = pytest.mark.slurm

ROUNDS = 3
SERIES: dict[str, Any] = {
    "experiment": "base.json",
    "population": "population.json",
    "measure": "steps",
    "rounds": ROUNDS,
    "breeding": {"size": 3, "parents": 2, "expressions": 1, "founder_density": 0.6},
}


def begun(folder: Path, **changes: Any) -> Path:
    """Begin a little series in a folder, and return where."""
    base = {"networks": [["DummyT2I", "DummyI2T"]], "seeds": [1, 2], "max_length": 6, **changes}
    population = {"chromosomes": [{"name": "thing", "loci": ["fox", "boat", "moon", "tree"]}]}
    for name, value in (("base", base), ("population", population), ("series", SERIES)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    start(folder / "S", read_series(folder / "series.json"))
    return folder / "S"


def ended(root: Path) -> list[Any]:
    keys = [panic_hpc.open(path).content_key for path in sorted(root.glob("rounds/*/dataset.h5"))]
    kept = [root / "rounds" / f"{k:03d}.{what}.json" for k in range(ROUNDS)
            for what in ("population", "control", "ranking")]  # fmt: skip
    return [*keys, *(path.read_text() for path in kept)]


def test_jobs_go_on_to_the_same_end_as_here_after_all_were_cancelled(
    slurm: Any, tmp_path: Path
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here, there = begun(tmp_path / "here"), begun(tmp_path / "there")
    advance(here, read_plan(here), request_for("local", executor="inline"))
    told = run_command("series", "advance", there, "--cluster", "testbed")
    assert "Round 1 is submitted" in told
    assert "goes on by itself" in told
    wait_for((there / "rounds" / "000.ranking.json").exists, "the first round", 240)
    slurm.cancel_jobs()
    wait_for(lambda: not slurm_command("squeue", "--noheader").strip(), "an empty queue")
    run_command("series", "advance", there, "--cluster", "testbed")
    last = there / "rounds" / f"{ROUNDS - 1:03d}.ranking.json"
    wait_for(last.exists, "the last round", 400)
    assert ended(there) == ended(here)


def test_where_jobs_may_not_submit_the_user_goes_on(slurm: Any, tmp_path: Path) -> None:
    own = profile(tmp_path, "[limits]\nsubmit_from_jobs = false\n")
    root = begun(tmp_path)
    told = run_command("series", "advance", root, "--cluster", own)
    assert "nothing goes on by itself" in told
    assert f"panic-hpc series advance {root}" in run_command("series", "show", root)


@pytest.mark.long
def test_a_round_that_fails_is_tried_three_times_and_then_why_is_told(
    slurm: Any, tmp_path: Path
) -> None:
    root = begun(tmp_path)
    run_command("series", "advance", root, "--cluster", "testbed")
    # A folder in the way of a shard: every job of the round fails at it.
    blocked = root / "rounds" / "000" / "shards" / "runs" / "runs_00000.h5"
    (blocked / "inside").mkdir(parents=True)
    stop = wait_for(lambda: stop_of(root), "the third try", 400)
    assert "was tried 3 times" in stop.why
    assert "Jobs have stopped in round 0" in run_command("series", "show", root)
