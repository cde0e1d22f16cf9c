"""A profile's container section becomes exactly the words that a shell will read."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from panic_hpc.backends.slurm.job_environment import host_lines
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.container.command import python_words
from panic_hpc.errors import LaunchError


def cluster(**tables: Any) -> Cluster:
    return Cluster.model_validate({"name": "site", **tables})


def test_without_a_container_the_profiles_interpreter_runs() -> None:
    assert python_words(cluster(python="/venv/bin/python"), gpu=True) == ("/venv/bin/python",)


def test_the_container_command_holds_every_setting() -> None:
    site = cluster(
        container={
            "image": "/s/image.sif", "gpu": "nv", "userns": True, "binds": ["/s", "/p:/q:ro"],
            "options": ["--sharens"],
        },
        paths={"node_tmp": "$TMPDIR"},
    )  # fmt: skip
    words = python_words(site, gpu=True, binds=["/exp", "/s"])
    assert " ".join(words) == (
        "apptainer exec --userns --nv --no-home --bind /s --bind /p:/q:ro --bind /exp"
        ' --bind "${TMPDIR:?is not set on this node}":/tmp --sharens /s/image.sif python3'
    )


@pytest.mark.parametrize(("gpu", "flag"), [("nv", "--nv"), ("rocm", "--rocm"), ("none", None)])
def test_gpu_flags_only_where_the_stage_asks_for_gpus(gpu: str, flag: str | None) -> None:
    site = cluster(container={"image": "/i.sif", "gpu": gpu})
    assert (flag in python_words(site, gpu=True)) == (flag is not None)
    assert not {"--nv", "--rocm"} & set(python_words(site, gpu=False))


def test_an_image_given_at_submission_wins_and_none_is_refused() -> None:
    site = cluster(container={"runtime": "singularity", "image": "/old.sif"})
    assert python_words(site, gpu=False, image="/new.sif")[-2:] == ("/new.sif", "python3")
    with pytest.raises(LaunchError, match="--image"):
        python_words(cluster(container={}), gpu=False)


@pytest.mark.parametrize("bind", ["/a,b", "/a:b:c:d"])
def test_paths_that_apptainer_would_split_are_refused(bind: str) -> None:
    with pytest.raises(LaunchError, match="comma or a colon"):
        python_words(cluster(container={"image": "/i.sif"}), gpu=False, binds=[bind])


def test_modules_come_first_and_models_are_never_downloaded() -> None:
    site = cluster(modules=["rocm/6.2"], setup=["ulimit -c 0"], paths={"cache": "/c"})
    lines = host_lines(site)
    assert lines[0] == "module load rocm/6.2"
    assert {"export HF_HUB_OFFLINE=1", "export HF_HOME=/c/huggingface"} <= set(lines)
    assert lines[-1] == "ulimit -c 0"


def test_file_locking_is_switched_off_before_hdf5_is_imported() -> None:
    site = cluster(paths={"hdf5_file_locking": False})
    assert "export HDF5_USE_FILE_LOCKING=FALSE" in host_lines(site)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(max_examples=300, deadline=None)
def test_values_reach_the_job_exactly_and_are_never_executed(text: str) -> None:
    try:
        site = cluster(environment={"X": text}, container={"environment": {"Y": text}})
    except ValidationError:
        return
    script = "\n".join((*host_lines(site), "env -0"))
    seen = dict(
        part.split("=", 1)
        for part in _bash(script).split("\0")
        if part.startswith(("X=", "APPTAINERENV_Y="))
    )
    assert seen == {"X": text, "APPTAINERENV_Y": text}


CANARIES = [
    "$(touch canary)",
    "`touch canary`",
    "; touch canary",
    "' && touch canary '",
    "\ntouch canary",
]


@pytest.mark.parametrize("canary", CANARIES)
def test_no_path_is_executed(canary: str, tmp_path: Path) -> None:
    path = f"/a{canary}"
    try:
        site = cluster(container={"image": path, "binds": [path]}, python=path)
    except ValidationError:
        return
    words = python_words(site, gpu=False)
    _bash(f"cd {shlex.quote(str(tmp_path))}; printf '%s\\0' {' '.join(words)}")
    assert not (tmp_path / "canary").exists()


def test_the_nodes_directory_is_expanded_on_the_node_and_missed_where_unset() -> None:
    site = cluster(container={"image": "/i.sif"}, paths={"node_tmp": "$NODE_DISK/x"})
    line = "echo " + " ".join(python_words(site, gpu=False))
    assert "--bind /disk 1/x:/tmp" in _bash(f"NODE_DISK='/disk 1'\n{line}")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _bash(line)
    assert "NODE_DISK: is not set on this node" in caught.value.stderr


def _bash(script: str) -> str:
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
