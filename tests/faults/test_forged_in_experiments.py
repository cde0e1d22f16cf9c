"""Files that somebody made lie in an experiment: merge, status and workers say so in a sentence.

The readers are attacked by themselves in tests/store; here by the verbs that an experiment has.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import forge
import pytest
from counting import no_scheduler_around
from little_experiment import plan_little
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.cli import app, register_verbs
from panic_hpc.errors import PanicError
from panic_hpc.worker.worker import WorkerOptions, run_shards
from panic_hpc.workspace.failures import read_failure
from panic_hpc.workspace.workspace import open_workspace

__all__ = ["no_scheduler_around"]

FORGERIES = 6
"""Of each kind of file, drawn by seed; the long test has more."""
READERS = {
    "runs": ("embeddings", "merge"),
    "embeddings": ("diagrams", "merge"),
    "diagrams": ("merge",),
    "dataset": ("merge",),
}
"""The stages whose workers read a stage's files."""

register_verbs(app)


def kinds_of(error: type[Exception]) -> set[str]:
    return {error.__name__}.union(*map(kinds_of, error.__subclasses__()))


SENTENCES = kinds_of(PanicError)
"""Errors that are raised on purpose."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment, whose files may be written to."""
    root = plan_little(tmp_path_factory.mktemp("done") / "EXP", runs_per_shard=6, max_length=4)
    request = panic_hpc.request_for("local", executor="inline")
    panic_hpc.submit(open_workspace(root), request, wait=True)
    for path in root.rglob("*.h5"):
        path.chmod(0o644)
    return root


def run(*arguments: object) -> Any:
    """Run a verb in this process; whatever it raises but a PanicError is a fault."""
    ended = CliRunner().invoke(app, [str(one) for one in arguments])
    assert isinstance(ended.exception, PanicError | SystemExit | None), ended.exc_info
    return ended


def verbs_on(root: Path, stage: str, key: str) -> None:
    """Use an experiment in which a file of a stage is wrong, by all verbs that read it."""
    workspace = open_workspace(root)
    run("status", root)
    run("status", root, "--why", f"{stage if stage != 'dataset' else 'merge'}_00000")
    merged = run("merge", root, "-o", root.parent / "other.h5", "--force")
    for after in READERS[stage]:
        for shard in workspace.shards(after) if stage != "dataset" else ():
            workspace.paths.shard(shard).unlink()
        run_shards(str(root), after, [0], WorkerOptions("a-submission"))
    for path in workspace.paths.failed.glob("[!.]*"):
        failure = read_failure(path)
        assert failure is not None
        assert failure.kind in SENTENCES, failure
    if merged.exit_code == 0:
        assert content_key(root.parent / "other.h5") == key
    if (root / "dataset.h5").exists() and stage != "dataset":
        assert content_key(root / "dataset.h5") == key


def content_key(path: Path) -> str:
    with panic_hpc.open(path) as dataset:
        dataset.file.check_all()
        return dataset.content_key


def forgeries(path: Path, number: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield places of a header and what is put there instead, drawn by seed."""
    header, chance = forge.header_of(path), random.Random(path.name)
    values = (*forge.WRONG, forge.Gone)
    candidates = [(place, new) for place in forge.places(header) for new in values]
    fitting = [one for one in candidates if forge.fits(path, forge.replaced(header, *one))]
    yield from chance.sample(fitting, number)


@pytest.mark.parametrize("stage", READERS)
@pytest.mark.parametrize(
    "number", [FORGERIES, pytest.param(20 * FORGERIES, marks=pytest.mark.long)]
)
def test_a_forged_file_in_an_experiment_ends_no_verb_in_a_traceback(
    done: Path, tmp_path: Path, injected: Callable[[str, int], None], stage: str, number: int
) -> None:
    key = content_key(done / "dataset.h5")
    folder = done if stage == "dataset" else done / "shards" / stage
    place = min(folder.rglob("*.h5"), key=lambda path: len(path.parts))
    for where, new in forgeries(place, number):
        root = tmp_path / "EXP"
        shutil.copytree(done, root)
        change = partial(forge.replaced, place=where, new=new)
        forge.restamp(root / place.relative_to(done), change)
        try:
            verbs_on(root, stage, key)
        except BaseException as error:
            error.add_note(f"{stage}: {where} is {new!r}")
            raise
        shutil.rmtree(root)
    injected(f"forged {stage} in an experiment", number)
