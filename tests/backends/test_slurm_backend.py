"""Submission against stand-ins for Slurm's commands: refusals, cuts in between, secrets, locks."""

import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from little_experiment import plan_little, run_command

from panic_hpc.backends.base import Proposal, SilentWatcher, SubmitRequest, backend_of
from panic_hpc.backends.status_query import query_status
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.errors import LaunchError
from panic_hpc.workspace import leases
from panic_hpc.workspace.lease_text import Lease, Progress, encode_lease
from panic_hpc.workspace.ledger import read_ledger
from panic_hpc.workspace.process import SlurmIds, this_process
from panic_hpc.workspace.workspace import Workspace, open_workspace

SBATCH = """#!/bin/sh
n=$(($(cat {0}/state 2>/dev/null || echo 0) + 1)); echo $n > {0}/state
cp "$1" {0}/script.$n; env > {0}/environment.$n
if [ -e {0}/refuse.$n ]; then cat {0}/refuse.$n >&2; exit 1; fi
name=$(sed -n 's/^#SBATCH --job-name=//p' "$1"); array=$(sed -n 's/^#SBATCH --array=//p' "$1")
echo "$n|${{array:-N/A}}|PENDING||$name|Priority" >> {0}/queue
[ -e {0}/die.$n ] && kill -9 $PPID
echo "Submitted batch job $n"
"""
COMMANDS = {
    "sbatch": SBATCH,
    "squeue": "#!/bin/sh\necho x >> {0}/asked; cat {0}/queue 2>/dev/null; exit 0\n",
    "scontrol": "#!/bin/sh\necho 'MaxArraySize = 2'\n",
    "scancel": '#!/bin/sh\necho "$@" >> {0}/cancelled; : > {0}/queue\n',
    "srun": "#!/bin/sh\nexit 1\n",
}


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which the stand-ins keep what they were told."""
    folder = tmp_path / "slurm"
    (folder / "bin").mkdir(parents=True)
    for name, text in COMMANDS.items():
        (folder / "bin" / name).write_text(text.format(folder))
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Workspace:
    """Three shards of runs, three of embeddings, and what follows."""
    return open_workspace(plan_little(tmp_path / "exp"))


def request(*stages: str, profile: dict[str, Any] | None = None, **changes: Any) -> SubmitRequest:
    cluster = {"name": "site", "python": "/usr/bin/python3", **(profile or {})}
    return SubmitRequest(Cluster.model_validate(cluster), stages or ("runs",), **changes)


class Listener(SilentWatcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)


def submit(opened: Workspace, *stages: str, **changes: Any) -> list[str]:
    listener, asked = Listener(), request(*stages, **changes)
    backend_of(asked.cluster).submit(opened, asked, listener)
    return listener.lines


def states(opened: Workspace, stage: str = "runs") -> list[str]:
    return [one.state for one in query_status(opened).status.stages[stage]]


def test_what_was_submitted_is_in_the_ledger_and_nothing_twice(
    opened: Workspace, commands: Path
) -> None:
    assert submit(opened) == ["runs: 2 jobs as 1", "runs: 1 job as 2"]
    (submission,) = read_ledger(opened.paths.ledger)
    assert [array_job.job_id for array_job in submission.array_jobs] == ["1", "2"]
    assert [array_job.tasks for array_job in submission.array_jobs] == [((0,), (1,)), ((2,),)]
    assert submission.outcome == "submitted"
    assert states(opened) == ["submitted"] * 3
    assert submit(opened) == []


def test_one_question_to_the_scheduler_for_a_status(opened: Workspace, commands: Path) -> None:
    submit(opened, "runs", "embeddings", "diagrams", "merge")
    (commands / "asked").unlink(missing_ok=True)
    query_status(opened)
    assert (commands / "asked").read_text() == "x\n"


def test_a_refusal_half_way_leaves_a_true_ledger_and_no_pickles(
    opened: Workspace, commands: Path
) -> None:
    (commands / "refuse.2").write_text("sbatch: error: QOSMaxSubmitJobPerUserLimit\n")
    with pytest.raises(LaunchError, match="QOSMaxSubmitJobPerUserLimit"):
        submit(opened, "runs", "embeddings")
    (submission,) = read_ledger(opened.paths.ledger)
    assert "QOSMaxSubmit" in submission.outcome
    assert states(opened) == ["submitted", "submitted", "eligible"]
    assert len(list(opened.paths.submitit.rglob("*.pkl"))) == 2
    told = submit(opened, "runs", "embeddings")
    assert told[0] == "runs: 1 job as 3"
    assert "afterany:1_0:1_1" in told[1]
    assert states(opened) == ["submitted"] * 3


def test_a_submitter_that_dies_behind_sbatch_leaves_a_job_that_is_found(
    opened: Workspace, commands: Path
) -> None:
    (commands / "die.1").touch()
    root = opened.paths.root
    run_command("submit", root, "--cluster", "testbed", "--yes", "--stage", "runs", code=-9)
    (submission,) = read_ledger(opened.paths.ledger)
    assert [array_job.job_id for array_job in submission.array_jobs] == [""]
    assert states(opened) == ["submitted", "submitted", "eligible"]


def test_claims_of_jobs_that_are_over_are_taken_back(opened: Workspace, commands: Path) -> None:
    submit(opened)
    path = opened.paths.lease(opened.shards("runs")[0])
    node = replace(this_process(), host="n9", boot="b9", slurm=SlurmIds("1", "1", "0"))
    progress = Progress(done=3, total=9, updated=time.time())
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_lease(Lease("t", node, "s", 0.0, progress=progress)))
    assert states(opened) == ["submitted"] * 3
    queue = (commands / "queue").read_text()
    (commands / "queue").write_text(queue.replace("1|0-1%2|PENDING", "1|0-1%2|NODE_FAIL"))
    assert states(opened) == ["lost", "lost", "submitted"]
    submit(opened)
    left = leases.read_lease(path)
    assert left is not None
    assert (left.progress.kind, left.progress.done) == ("stopped", 3)
    assert left.deaths == 1


def test_only_one_submits_at_a_time(opened: Workspace, commands: Path) -> None:
    held = leases.take(opened.paths.submit_lock, this_process(), "")
    assert held is not None
    with held, pytest.raises(LaunchError, match="is submitting this experiment now"):
        submit(opened)
    assert submit(opened)


def test_who_submitted_a_moment_ago_is_not_taken_for_this_process(
    opened: Workspace, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one is done between the attempt to be the only one and the look at who is.
    monkeypatch.setattr(leases, "take", lambda *asked, **options: None)
    with pytest.raises(LaunchError, match="a moment ago"):
        submit(opened)


def test_nothing_happens_without_consent(opened: Workspace, commands: Path) -> None:
    shown: list[Proposal] = []

    def decline(proposal: Proposal) -> bool:
        shown.append(proposal)
        return False

    asked = request()
    assert backend_of(asked.cluster).submit(opened, asked, SilentWatcher(), decline) is None
    assert shown[0].n_shards == 3
    assert not (commands / "state").exists()


def test_folders_are_private_and_jobs_get_no_secrets(
    opened: Workspace, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("SBATCH_PARTITION", "elsewhere")
    submit(opened)
    for folder in opened.paths.submitit.iterdir():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [*opened.paths.root.rglob("*"), *commands.glob("environment.*")]
    assert not [p for p in files if p.is_file() and b"hf_canary" in p.read_bytes()]
    assert "SBATCH_PARTITION" not in (commands / "environment.1").read_text()


def test_cancel_is_noted_so_that_nothing_counts_as_lost(opened: Workspace, commands: Path) -> None:
    submit(opened)
    told = run_command("cancel", opened.paths.root, "--yes")
    assert "Cancelled 3 jobs" in told
    assert "1_0" in (commands / "cancelled").read_text()
    assert states(opened) == ["eligible"] * 3


def test_dry_run_shows_and_submits_nothing(opened: Workspace, commands: Path) -> None:
    (commands / "bin" / "sbatch").write_text("#!/bin/sh\necho 'Job 1 to start soon' >&2\n")
    told = run_command("submit", opened.paths.root, "--cluster", "testbed", "--dry-run")
    assert told.count("#!/bin/bash") >= 4
    assert "# sbatch says: Job 1 to start soon" in told
    assert "GPU-hours" in told
    assert not opened.paths.jobs.exists()


def test_status_in_json_is_one_document(opened: Workspace, commands: Path) -> None:
    submit(opened)
    found = json.loads(run_command("status", opened.paths.root, "--json"))
    assert found["stages"]["runs"] == {"submitted": 3}
    assert found["shards"][0]["detail"] == "pending (Priority)"


def test_without_slurm_the_submission_says_so(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="no scontrol on this machine"):
        submit(opened)
