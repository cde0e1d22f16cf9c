"""A shard that is another user's and may not be read: each verb says so, and touches nothing."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import experiments
import pytest
from little_experiment import HOMOLOGY, command_line

from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.paths import ExperimentPaths
from panic_hpc.stages.merge.experiments import merge

SOMEBODY = 65_534
LESS = "-dac_override,-dac_read_search"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)"),
]

Said = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> ExperimentPaths:
    planned = experiments.planned(
        tmp_path_factory.mktemp("others") / "exp", runs_per_shard=2, homology=HOMOLOGY
    )
    planned.work("runs", "embeddings", "diagrams")
    merge([planned.paths.root], planned.paths.dataset, MergeOptions(refer=True))
    return planned.paths


@pytest.fixture
def theirs(worked: ExperimentPaths, tmp_path: Path) -> Path:
    """The experiment, one of whose shards is readable by somebody else alone."""
    root = Path(shutil.copytree(worked.root, tmp_path / "exp"))
    shard = root / "shards" / "runs" / "runs_00001.h5"
    shard.chmod(0o600)
    os.chown(shard, SOMEBODY, SOMEBODY)
    return root


@pytest.fixture
def say(theirs: Path) -> Said:
    """Run a verb as who may read no files of others; return its exit code and all that it says."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        command = ["setpriv", f"--bounding-set={LESS}", f"--inh-caps={LESS}"]
        done = subprocess.run(
            [*command, *command_line(*arguments)], capture_output=True, text=True, check=False
        )
        said = " ".join((done.stdout + done.stderr).split())
        assert "Traceback" not in said
        return done.returncode, said

    return run


def test_merge_pack_and_verify_name_the_shard_and_what_helps(theirs: Path, say: Said) -> None:
    before = (theirs / "dataset.h5").read_bytes()
    told = "runs_00001.h5 may not be read (Permission denied). Ask its owner to let you read it"
    for pictures in ("copy", "reference"):
        code, said = say("merge", theirs, "--images", pictures)
        assert (code, told in said) == (1, True)
    code, said = say("dataset", "pack", theirs)
    assert (code, "cannot be read (Permission denied). Ask its owner" in said) == (1, True)
    assert (theirs / "dataset.h5").read_bytes() == before
    assert not list(theirs.glob(".*.tmp"))
    code, said = say("verify", theirs)
    assert (code, "F08" in said, f"not checked: {theirs}" in said) == (1, True, True)
    # It kept the others from being checked.
    assert said.count("clean shard") == 10
    shards = sorted((theirs / "shards" / "runs").iterdir())
    code, said = say("verify", *shards)
    assert (code, said.count("clean shard"), said.count("not checked")) == (2, 2, 1)


@pytest.mark.long
def test_other_verbs_go_on_without_it_or_say_why_not(theirs: Path, say: Said) -> None:
    (theirs / "dataset.h5").rename(theirs / "other.h5")
    code, said = say("verify", theirs)
    assert (code, "not checked" in said) == (2, True)
    assert say("status", theirs)[0] == 0
    code, said = say("doctor", theirs)
    assert (code, "unreadable: " in said, "1 thing is wrong" in said) == (1, True, True)
    dataset = theirs / "other.h5"
    assert say("analyse", dataset, "pictures")[0] == 0
    code, said = say("report", dataset, "--no-analyse")
    assert (code, "No pictures of 4 runs" in said, "Ask its owner" in said) == (0, True, True)
    code, said = say("export", "images", dataset, "-o", theirs / "pictures")
    assert (code, "Ask its owner" in said) == (1, True)
    assert not (theirs / "pictures").exists()
