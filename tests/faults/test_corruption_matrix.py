"""Every way of being wrong, in every kind of published file, is seen; how often is printed."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from injuries import INJURIES
from little_experiment import plan_little

import panic_hpc
from panic_hpc.health.experiment import verify_experiment
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.workspace.workspace import open_workspace

SEEDS = int(os.environ.get("PANIC_HPC_FAULT_SEEDS", "1"))
"""Injections of each kind into each kind of file; 6 in the long test, 50 in `make faults`."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment, whose files may be written to."""
    root = plan_little(tmp_path_factory.mktemp("done") / "EXP")
    panic_hpc.submit(
        open_workspace(root), panic_hpc.request_for("local", executor="inline"), wait=True
    )
    for path in root.rglob("*.h5"):
        path.chmod(0o644)
    return root


def first_of(done: Path, kind: str) -> list[Path]:
    if kind == "dataset":
        return [done / "dataset.h5", done / "shards/runs/runs_00000.h5"]
    return sorted((done / "shards" / kind).rglob("*.h5"))


@pytest.mark.parametrize("kind", ["runs", "embeddings", "diagrams", "dataset"])
@pytest.mark.parametrize("injury", INJURIES)
@pytest.mark.parametrize("seeds", [SEEDS, pytest.param(6, marks=pytest.mark.long)])
def test_no_injury_of_a_published_file_goes_unseen(
    done: Path, injected: Callable[[str, int], None], kind: str, injury: str, seeds: int
) -> None:
    path, *others = first_of(done, kind)
    # The only shard of its stage changes places with one of another stage.
    other = (others or [done / "shards/runs/runs_00000.h5"])[0]
    whole = path.read_bytes()
    seen: Counter[str] = Counter()
    try:
        for seed in range(seeds if injury != "swapped" else 1):
            INJURIES[injury](path, other, random.Random(f"{kind} {injury} {seed}"))
            if path.read_bytes() == whole:
                continue
            named = {v.path: v for v in verify_experiment(done, ALL, lambda done, total: None)}
            assert named[path].findings, (kind, injury, seed)
            seen[named[path].findings[0].rule] += 1
            path.write_bytes(whole)
    finally:
        path.write_bytes(whole)
    injected(f"files {injury}", seen.total())
    print(f"faults: {seen.total()} {injury} {kind}, all seen: {dict(seen)}")


def test_a_shard_of_another_plan_is_foreign(done: Path, tmp_path: Path) -> None:
    other = plan_little(tmp_path / "OTHER", seeds=[7, 8])
    panic_hpc.submit(
        open_workspace(other), panic_hpc.request_for("local", executor="inline"), wait=True
    )
    stale = tmp_path / "EXP"
    shutil.copytree(done, stale)
    for place in ("shards/runs/runs_00000.h5", "dataset.h5"):
        shutil.copyfile(other / place, stale / place)
    shutil.copyfile(other / "dataset.h5.digest", stale / "dataset.h5.digest")
    named = {
        v.path.name: [finding.rule for finding in v.findings]
        for v in verify_experiment(stale, ALL, lambda done, total: None)
        if v.findings
    }
    assert named == {"runs_00000.h5": ["M01"], "dataset.h5": ["M02"]}
