"""Batch scripts: what they say and leave unsaid, what they do; and texts stay texts in them."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panic_hpc.backends.slurm.batch_script import THIS_TASK, BatchJob, deadline_line, parameters
from panic_hpc.backends.slurm.sbatch import inheritable, script
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.container.sif import Build
from panic_hpc.container.submitted import SubmittedImage
from panic_hpc.errors import LaunchError, PanicError
from panic_hpc.stages.base import installed_stages

IMAGE = SubmittedImage(Path("/i.sif"), "sha256:0", Build("b1", "0.1.0", "c", "l"))


def job(cluster: Cluster, stage: str = "runs", **changes: Any) -> BatchJob:
    given_: dict[str, Any] = {
        "cluster": cluster,
        "stage": stage,
        "name": f"{stage}-0123abcd-aaaaaa",
        "size": 1 if stage == "merge" else 3,
        "folder": Path("/scratch/EXP/jobs/submitit/a"),
        "root": Path("/scratch/EXP"),
        "threads": 1,
        "launch": installed_stages()[stage].launch,
    }
    return BatchJob(**{**given_, **changes})


def bare(**tables: Any) -> Cluster:
    return Cluster.model_validate({"name": "bare", "python": "/opt/python3", **tables})


def directives(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        if line.startswith("#SBATCH --"):
            name, _, value = line.removeprefix("#SBATCH --").partition("=")
            found[name] = shlex.split(value)[0] if value else ""
    return found


def test_what_a_profile_leaves_out_is_not_said() -> None:
    said = set(directives(script(job(bare()))))
    assert said == {
        "array", "job-name", "nodes", "ntasks-per-node", "open-mode", "output", "requeue", "signal",
    }  # fmt: skip


def test_a_job_alone_is_no_array_and_nobody_gets_submitits_signal() -> None:
    alone = directives(script(job(bare(), size=1)))
    assert "array" not in alone
    assert alone["signal"] == "B:CONT@1"


def test_the_throttle_and_no_requeue() -> None:
    said = directives(script(job(bare(limits={"requeue": False}), size=9, parallel=4)))
    assert said["array"] == "0-8%4"
    assert "requeue" not in said
    assert "no-requeue" in said


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({"SLURM_JOB_END_TIME": "123"}, 123), ({}, None)],
)
def test_the_deadline_is_slurms_or_the_walltime(
    variables: dict[str, str], expected: int | None
) -> None:
    line = f"date +%s\n{deadline_line(2)}\necho $PANIC_HPC_DEADLINE; date +%s"
    done = subprocess.run(
        ["bash", "-c", line],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    before, deadline, after = map(int, done.stdout.split())
    assert deadline == expected or before + 120 <= deadline <= after + 120


@pytest.mark.parametrize(("code", "asked"), [(0, False), (1, False), (85, True), (143, False)])
def test_only_85_asks_for_a_requeue_and_every_code_is_passed_on(
    tmp_path: Path, code: int, asked: bool
) -> None:
    done, log = run_script(tmp_path, script(job(bare(), folder=tmp_path)), code)
    assert done.returncode == code
    assert ("scontrol requeue 7" in log) == asked


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ({"SLURM_JOB_ID": "9"}, "9"),
        ({"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, "7_2"),
    ],
)
def test_an_element_of_an_array_names_itself_and_never_the_array(
    ids: dict[str, str], named: str
) -> None:
    command = ["bash", "-c", f'echo "{THIS_TASK}"']
    done = subprocess.run(command, env=ids, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{named}\n"


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    text = script(job(bare(), folder=tmp_path / "absent"))
    done, log = run_script(tmp_path, text, 0)
    assert done.returncode == 78
    assert "srun" not in log


def run_script(
    tmp_path: Path, text: str, code: int
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a batch script with an srun that ends with `code`; return it and what was called."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    log = tmp_path / "called"
    log.touch()
    for name, ending in (("srun", f"exit {code}"), ("scontrol", "exit 1")):
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n{ending}\n')
        program.chmod(0o755)
    done = subprocess.run(
        ["bash"],
        input=text,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
    )
    return done, log.read_text()


# Sixteen texts an example and 150 examples: some 2,400 texts in all.
TEXTS = st.lists(st.text(min_size=1, max_size=40) | st.sampled_from([
    "x\ntouch CANARY", "$(touch CANARY)", "`touch CANARY`", "';touch CANARY;'", "a\rb",
    "x\u2028touch CANARY", "--wrap=touch CANARY", "#\n#SBATCH --wrap", "${IFS}touch", "\\\ntouch",
]), min_size=16, max_size=16)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(texts=TEXTS)
def test_every_text_is_refused_or_rendered_exactly(texts: list[str]) -> None:
    for place, text in enumerate(texts):
        try:
            rendered = script(placed(text, place % 8))
        except (PanicError, ValueError):
            continue
        expected = script(placed("plain", place % 8)).splitlines()
        lines = rendered.splitlines()
        assert len(lines) == len(expected)
        for line, usual in zip(lines, expected, strict=True):
            assert line == usual or is_exact(line, usual, text), (line, usual)


def placed(text: str, place: int) -> BatchJob:
    """Return a job with `text` in one of the places that a user or a profile fills."""
    if place == 0:
        return job(bare(), name=text)
    if place == 1:
        return job(bare(), exclude=(text,))
    if place == 2:
        return job(bare(), root=Path("/x/" + text), folder=Path("/x/" + text))
    if place == 3:
        return job(bare(), dependency=text)
    tables: dict[int, dict[str, Any]] = {
        4: {"stages": {"runs": {"partition": text}}},
        5: {"stages": {"runs": {"extra": {"comment": text}}}},
        6: {"environment": {"NAME": text}},
        7: {"container": {"image": "/i.sif", "environment": {"NAME": text}}},
    }
    image = IMAGE if place == 7 else None
    return job(bare(**tables[place]), image=image)


def is_exact(line: str, usual: str, text: str) -> bool:
    """Whether `line` is `usual` with `text` for `plain`, as sbatch's and the shell's words."""
    if line.startswith("#SBATCH "):
        line, usual = line.removeprefix("#SBATCH "), usual.removeprefix("#SBATCH ")
    normal = str(Path("/x/" + text))
    words, ordinary = shlex.split(line), shlex.split(usual)
    exact = [word.replace("/x/plain", normal).replace("plain", text) for word in ordinary]
    return words == exact


@settings(max_examples=40, deadline=None)
@given(texts=TEXTS)
def test_no_canary_runs(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("canary")
    for place, text in enumerate(texts):
        try:
            rendered = script(placed(text, place % 8))
        except (PanicError, ValueError):
            continue
        runnable = rendered.replace("[ -O ", "true || [ -O ")
        subprocess.run(
            ["bash"],
            input="srun() { :; }\napptainer() { :; }\n" + runnable,
            text=True,
            cwd=folder,
            capture_output=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
        )
    assert os.listdir(folder) == []


def test_locks_of_hdf5_are_switched_off_before_a_worker_can_import_it() -> None:
    rendered = script(job(bare(paths={"hdf5_file_locking": False})))
    runnable = rendered.replace("[ -O ", "true || [ -O ")
    told = subprocess.run(
        ["bash"],
        input='srun() { echo "$HDF5_USE_FILE_LOCKING"; }\n' + runnable,
        text=True, capture_output=True, timeout=60, check=True, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert told.stdout == "FALSE\n"


@pytest.mark.parametrize("bad", ["50%", "a'b", "x$HOME", "back\\slash"])
def test_directories_that_slurm_would_not_read_as_they_are(bad: str) -> None:
    with pytest.raises(LaunchError, match="Move the experiment"):
        parameters(job(bare(), folder=Path("/scratch") / bad / "jobs"))


def test_jobs_inherit_no_secrets_and_nothing_of_an_allocation_around() -> None:
    environ = {
        "HF_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "SLURM_CONF": "/c", "SLURM_CPU_BIND": "b",
        "SBATCH_PARTITION": "p", "PATH": "/bin", "MY_PASSWORD": "x", "PMI_RANK": "0",
    }  # fmt: skip
    assert inheritable(environ) == {"SLURM_CONF": "/c", "PATH": "/bin"}
