"""The plan on disk: what is read is what was planned, and nothing else passes for it."""

import fcntl
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.errors import ManifestError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.keys import content_key
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.planning.plan import Plan, PlanOptions, make_plan

CATALOGUE = catalogue.load()
FULL: dict[str, Any] = {
    "name": "full",
    "networks": [
        ["DummyT2I", "DummyI2T"],
        {"models": ["DummyT2I2", "DummyI2T"], "noise": "per_step"},
    ],
    "prompts": ["a fox", {"text": "ein Füchslein 🦊\u2028", "group": "g"}],
    "seeds": [1, 2**32 - 1, -1],
    "embedding_models": ["DummyText", "DummyVision"],
    "max_length": 7,
    "loop_stop": False,
    "threads": 2,
    "images": {"codec": "png"},
    "homology": {"maxdim": 1, "thresh": 0.1, "budget": 10**12, "surrogates": 3},
    "models": {"DummyT2I": {"batch_size": 2, "delay_s": 0.25}},
}  # fmt: skip


def planned(options: PlanOptions | None = None, **changes: Any) -> Plan:
    experiment = Experiment.model_validate({**FULL, **changes})
    return make_plan(experiment, CATALOGUE, options or PlanOptions())


@pytest.fixture
def paths(tmp_path: Path) -> ExperimentPaths:
    return ExperimentPaths(tmp_path / "EXP")


def test_what_is_read_is_what_was_planned(paths: ExperimentPaths) -> None:
    plan = planned(PlanOptions(runs_per_shard=4))
    written = manifest.write(plan, paths)
    read = manifest.read(paths.root)
    assert read == written
    assert all(getattr(read, field.name) == getattr(plan, field.name) for field in fields(Plan))
    assert list(read.runs()) == list(plan.runs())
    assert read.run_shards == plan.run_shards


def test_the_key_covers_everything_but_labels_of_this_machine(tmp_path: Path) -> None:
    def key(options: PlanOptions | None = None, **changes: Any) -> str:
        return manifest.manifest_of(planned(options, **changes)).key

    same = key()
    slower = {"DummyT2I": FULL["models"]["DummyT2I"] | {"seconds": 0.5}}
    assert key(models=slower) == same
    different = [
        key(PlanOptions(runs_per_shard=4)),
        key(name="other"),
        key(threads=1),
        key(prompts=["a fox", "ein Füchslein 🦊\u2028"]),
        key(prompts=["a fox"]),
        key(seeds=[1]),
        key(noise="per_step"),
        key(homology={"maxdim": 2}),
        key(embedding_models=["DummyText"]),
        key(models={}),
    ]
    assert len({same, *different}) == len(different) + 1


def listed(root: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.iterdir()}


def test_planning_again_changes_nothing(paths: ExperimentPaths) -> None:
    manifest.write(planned(), paths)
    before = listed(paths.root)
    again = manifest.write(planned(), paths)
    assert listed(paths.root) == before
    assert again == manifest.read(paths.root)


def test_another_experiment_in_its_place_is_refused_with_what_differs(
    paths: ExperimentPaths,
) -> None:
    manifest.write(planned(), paths)
    content = paths.manifest.read_bytes()
    names = ["DummyText", "DummyText2"]
    other = planned(max_length=8, prompts=["a fox"], threads=1, embedding_models=names)
    with pytest.raises(ManifestError) as caught:
        manifest.write(other, paths)
    message = str(caught.value)
    assert "experiment.max_length: 7 → 8" in message
    assert "experiment.threads: 2 → 1" in message
    assert "prompts.count: 2 → 1" in message
    assert "models.DummyText2: None → {" in message
    assert "new directory" in message
    assert paths.manifest.read_bytes() == content


def test_a_directory_with_other_things_in_it_is_refused(paths: ExperimentPaths) -> None:
    paths.root.mkdir()
    (paths.root / "thesis.tex").write_text("all of it")
    with pytest.raises(ManifestError, match="holds 'thesis\\.tex'"):
        manifest.write(planned(), paths)
    assert [path.name for path in paths.root.iterdir()] == ["thesis.tex"]


def test_somebodys_own_file_of_prompts_is_not_overwritten(paths: ExperimentPaths) -> None:
    paths.root.mkdir()
    paths.prompts.write_text('["a fox"]')
    with pytest.raises(ManifestError, match="holds 'prompts\\.json'"):
        manifest.write(planned(), paths)
    assert paths.prompts.read_text() == '["a fox"]'


def test_a_file_in_its_place_is_refused(paths: ExperimentPaths) -> None:
    paths.root.write_text("a file")
    with pytest.raises(ManifestError, match="cannot be used as a directory"):
        manifest.write(planned(), paths)


def test_an_interrupted_plan_can_be_planned_again(paths: ExperimentPaths) -> None:
    paths.root.mkdir()
    whole = manifest.write(planned(), ExperimentPaths(paths.root.parent / "other"))
    paths.prompts.write_bytes((paths.root.parent / "other/prompts.json").read_bytes()[:40])
    (paths.root / ".manifest.json.123-abc.tmp").write_text("")
    assert manifest.write(planned(), paths).key == whole.key
    assert manifest.read(paths.root).n_runs == 12


def test_somebody_s_prompts_json_is_not_replaced(paths: ExperimentPaths) -> None:
    paths.root.mkdir()
    for prompts in ("a red fox\na blue boat\n", '{"text": "a"}\n{"text": "b"}\n', '["a"]'):
        paths.prompts.write_text(prompts)
        with pytest.raises(ManifestError, match=r"holds 'prompts\.json'"):
            manifest.write(planned(), paths)
        assert paths.prompts.read_text() == prompts


def test_no_experiment_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="Plan one with: panic-hpc plan"):
        manifest.read(tmp_path)
    with pytest.raises(ManifestError):
        manifest.read(tmp_path / "nothing")


def rewritten(paths: ExperimentPaths, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the manifest as a knowing hand would: its checksum is right again."""
    document = json.loads(paths.manifest.read_bytes())
    change(document)
    rest = {key: value for key, value in document.items() if key != "checksum"}
    paths.manifest.write_text(json.dumps(rest | {"checksum": content_key(rest)}))


def test_a_newer_manifest_is_left_to_newer_programs(paths: ExperimentPaths) -> None:
    manifest.write(planned(), paths)
    rewritten(paths, lambda document: document.update(version=2))
    with pytest.raises(ManifestError, match="version 2; this reads 1"):
        manifest.read(paths.root)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["plan"]["experiment"].update(max_length=8),
        lambda d: d["plan"]["experiment"].update(seeds=[1, 3, -1]),
        lambda d: d["plan"]["models"]["DummyT2I"].update(batch_size=6),
        lambda d: d["plan"]["models"]["DummyT2I"].update(colour="red"),
        lambda d: d["plan"]["models"].pop("DummyT2I"),
        lambda d: d["plan"]["networks"][0].update(runs_per_shard=4),
        lambda d: d["plan"]["networks"][0].update(key="0" * 32),
        lambda d: d["plan"]["networks"].pop(),
        lambda d: d["plan"].update(experiment=[]),
        lambda d: d.update(key="0" * 32),
        lambda d: d.update(plan=None),
        lambda d: d.pop("paths"),
    ],
)
def test_an_edited_manifest_is_no_manifest(
    paths: ExperimentPaths, change: Callable[[dict[str, Any]], None]
) -> None:
    manifest.write(planned(), paths)
    text = paths.manifest.read_text()
    document = json.loads(text)
    change(document)
    paths.manifest.write_text(json.dumps(document))
    with pytest.raises(ManifestError, match="edited or damaged"):
        manifest.read(paths.root)
    paths.manifest.write_text(text)
    rewritten(paths, change)
    with pytest.raises(ManifestError):
        manifest.read(paths.root)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"format": "x"}', "[" * 100_000, "\xff"]
)
def test_what_is_no_manifest_is_told(paths: ExperimentPaths, content: str) -> None:
    manifest.write(planned(), paths)
    paths.manifest.write_bytes(content.encode("latin-1"))
    with pytest.raises(ManifestError):
        manifest.read(paths.root)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"texts": ["a fox"], "groups": []}', '{"texts": 3, "groups": []}',
     '{"texts": ["a fox", 3], "groups": ["", "g"]}', '{"texts": ["a fox"]}'],
)  # fmt: skip
def test_prompts_that_are_not_the_manifests_are_told(paths: ExperimentPaths, content: str) -> None:
    manifest.write(planned(), paths)
    paths.prompts.write_text(content)
    with pytest.raises(ManifestError):
        manifest.read(paths.root)


def test_every_flipped_byte_is_noticed(paths: ExperimentPaths) -> None:
    written = manifest.write(planned(), paths)
    content = paths.manifest.read_bytes()
    for position in range(0, len(content), 97):
        paths.manifest.write_bytes(
            content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        )
        try:
            assert manifest.read(paths.root) == written  # a flip in the white space between
        except ManifestError:
            continue


ROUNDS = 5


def _plan_in(root: Path, max_length: int, barrier: Any, answers: Any) -> None:
    for attempt in range(ROUNDS):
        paths = ExperimentPaths(root / str(attempt))
        plan = planned(max_length=max_length)
        barrier.wait()
        try:
            answers.put((attempt, manifest.write(plan, paths).experiment.max_length))
        except ManifestError:
            answers.put((attempt, None))


def test_of_two_planners_at_once_one_wins_and_its_plan_is_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    planners = [
        context.Process(target=_plan_in, args=(tmp_path, length, barrier, answers))
        for length in (8, 9)
    ]
    for planner in planners:
        planner.start()
    told = [answers.get(timeout=120) for _ in range(2 * ROUNDS)]
    for planner in planners:
        planner.join()
    for attempt in range(ROUNDS):
        (won,) = [length for at, length in told if at == attempt and length]
        assert manifest.read(tmp_path / str(attempt)).experiment.max_length == won


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_a_planner_waits_for_the_one_before(paths: ExperimentPaths) -> None:
    paths.root.mkdir()
    plan = planned()
    later = threading.Thread(target=manifest.write, args=(plan, paths))
    with locked(paths.root):
        later.start()
        later.join(0.5)
        assert later.is_alive()
        assert list(paths.root.iterdir()) == []
    later.join()
    assert manifest.read(paths.root).key


def test_settings_that_come_with_an_update_leave_old_manifests_readable(
    paths: ExperimentPaths,
) -> None:
    """An older program's manifest knows nothing of a newer setting."""
    manifest.write(planned(), paths)

    def forget(document: dict[str, Any]) -> None:
        del document["plan"]["experiment"]["homology"]["engine"]
        document["key"] = content_key(document["plan"])

    rewritten(paths, forget)
    old = manifest.read(paths.root)
    assert old.experiment == planned().experiment
    assert manifest.write(planned(), paths).key == old.key


def test_a_moved_folder_of_weights_is_no_other_experiment(
    paths: ExperimentPaths, tmp_path: Path
) -> None:
    def with_weights_in(folder: Path) -> Plan:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        table = {"family": "diffusers", "path": str(folder)}
        networks = [["Mine", "DummyI2T"]]
        return planned(networks=networks, models={"Mine": table})

    first = manifest.write(with_weights_in(tmp_path / "here"), paths)
    again = manifest.write(with_weights_in(tmp_path / "there"), paths)
    assert again.key == first.key
    assert manifest.read(paths.root).specs[0].path == str(tmp_path / "there")
