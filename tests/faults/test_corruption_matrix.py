"""Every way of being wrong, in every kind of published file, is seen; how often is printed."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from injuries import INJURIES
from little_experiment import plan_little

import panic_hpc
from panic_hpc.errors import ManifestError
from panic_hpc.health.experiment import verify_experiment
from panic_hpc.store.checks.sampling import ALL
from panic_hpc.workspace.workspace import open_workspace

SEEDS = int(os.environ.get("PANIC_HPC_FAULT_SEEDS", "1"))
"""Injections of each kind into each kind of file; 6 in the long test, 50 in `make faults`."""


CHANGES: dict[str, dict[str, Any]] = {
    "done": {},
    "other seeds": {"seeds": [7, 8]},
    "other prompts": {"prompts": ["a red pear", "a small ship", "the sun"]},
    "other lengths": {"max_length": 10},
}
"""The experiment of the matrix, and others of which stale files are."""


def finished(root: Path, changes: dict[str, Any]) -> Path:
    """Return an experiment with every kind of file that needs no weights, which may be written."""
    plan_little(root, stages={"metrics": {"models": ["Luminance"]}}, **changes)
    panic_hpc.submit(
        open_workspace(root), panic_hpc.request_for("local", executor="inline"), wait=True
    )
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


@pytest.fixture(scope="module")
def all_done(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("done")
    return [finished(folder / name / "EXP", changes) for name, changes in CHANGES.items()]


@pytest.fixture(scope="module")
def done(all_done: list[Path]) -> Path:
    """A finished experiment, whose files may be written to."""
    return all_done[0]


def place_of(root: Path, kind: str) -> Path:
    """Return the file of a kind that is hurt."""
    if kind in RECORDS:
        return root / kind
    return sorted((root / "shards" / kind).rglob("*.h5"))[0]


RECORDS = ("dataset.h5", "dataset.h5.digest", "manifest.json", "prompts.json")
KINDS = ("runs", "embeddings", "metrics", "diagrams", *RECORDS)
JSON_KINDS = RECORDS[1:]


def findings(root: Path, path: Path) -> list[str]:
    """Return by which rules what is wrong with a file is seen; a manifest is refused as a whole."""
    try:
        named = {v.path: v for v in verify_experiment(root, ALL, lambda done, total: None)}
    except ManifestError:
        return ["refused"] if path.suffix == ".json" else []
    if path.suffix == ".h5":
        return [finding.rule for finding in named[path].findings]
    return [finding.rule for checked in named.values() for finding in checked.findings]


def others_of(all_done: list[Path], kind: str, injury: str) -> list[Path]:
    """Return what may come in place of the file of a kind."""
    done, *others = all_done
    if injury == "stale":
        return [place_of(root, kind) for root in others]
    # The only file of its stage changes places with one of another stage.
    alike = [] if kind in RECORDS else sorted((done / "shards" / kind).rglob("*.h5"))[1:]
    return alike or [done / "shards/runs/runs_00000.h5"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("injury", [*INJURIES, "stale"])
@pytest.mark.parametrize("seeds", [SEEDS, pytest.param(6, marks=pytest.mark.long)])
def test_no_injury_of_a_published_file_goes_unseen(
    all_done: list[Path], injected: Callable[[str, int], None], kind: str, injury: str, seeds: int
) -> None:
    if injury == "forged" and kind in JSON_KINDS:
        pytest.skip("tests/planning forges manifests, tests/store digests")
    path, others = place_of(all_done[0], kind), others_of(all_done, kind, injury)
    hurt = INJURIES["swapped" if injury == "stale" else injury]
    whole = path.read_bytes()
    seen: Counter[str] = Counter()
    try:
        for seed in range(seeds):
            chance = random.Random(f"{kind} {injury} {seed}")
            hurt(path, chance.choice(others), chance)
            if path.read_bytes() == whole:
                continue
            rules = findings(all_done[0], path)
            assert rules, (kind, injury, seed)
            seen[rules[0]] += 1
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
