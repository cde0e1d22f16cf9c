"""What `submit` makes sure of about the container image before anything is queued.

The runtime is a small program that runs its last words on this machine, so that everything but
Apptainer itself is real; tests/slurm/test_image_jobs.py uses Apptainer.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.container import sif as image_module
from panic_hpc.container.sif import BUILD_FILE, Build
from panic_hpc.container.submitted import refuse_other_version, submitted_image
from panic_hpc.errors import LaunchError
from panic_hpc.versions import version_of

BUILD = {"id": "b1", "version": version_of("panic-hpc"), "commit": "c", "lock": "l"}


@pytest.fixture
def sif(tmp_path: Path) -> Path:
    code = next(c for c, name in image_module.ARCHITECTURES.items() if name == "x86_64")
    path = tmp_path / "i.sif"
    path.write_bytes(b"#!\n".ljust(32, b"\0") + b"SIF_MAGIC\x0001\0" + code + bytes(64))
    return path


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `apptainer` that knows one image, whose build file is in tmp_path."""
    (tmp_path / "build.json").write_text(json.dumps(BUILD))
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "apptainer"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > "$(dirname "$0")/words"\n'
        f'for word in "$@"; do last=$word; done\n[ "$last" = {BUILD_FILE} ] || exit 1\n'
        f"cat {tmp_path}/build.json\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def cluster(**tables: Any) -> Cluster:
    return Cluster.model_validate({"name": "site", **tables})


def test_digest_and_build_go_into_every_job(sif: Path, runtime: Path) -> None:
    site = cluster(container={"image": str(sif)}, paths={"node_tmp": "$NODE_DISK"})
    found = submitted_image(site, binds=[str(sif.parent)], environ={})
    assert found is not None
    assert found.exports == {
        "PANIC_HPC_IMAGE_DIGEST": found.digest,
        "PANIC_HPC_BUILD": "b1",
    }
    words = (runtime / "words").read_text().split("\n")
    assert "NODE_DISK" not in str(words)
    assert str(sif.parent) in words


def test_without_a_container_there_is_no_image() -> None:
    assert submitted_image(cluster(), environ={}) is None


def test_the_image_that_this_process_runs_in_is_the_default(sif: Path, runtime: Path) -> None:
    found = submitted_image(cluster(), environ={"PANIC_HPC_IMAGE": str(sif)})
    assert found is not None
    assert found.path == sif


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"image": "/absent.sif"}, "absent.sif cannot be read"),
        ({}, "names no container image"),
        ({"image": "IMAGE", "binds": ["/absent/bind"]}, "/absent/bind, which is to be bound"),
        ({"image": "IMAGE", "runtime": "singularity"}, "no singularity on this machine"),
    ],
)
def test_what_cannot_work_is_one_sentence(container: dict[str, Any], words: str, sif: Path) -> None:
    given = {key: str(sif) if value == "IMAGE" else value for key, value in container.items()}
    with pytest.raises(LaunchError, match=words) as caught:
        submitted_image(cluster(container=given), environ={})
    assert "\n" not in str(caught.value)


def test_an_image_without_panic_hpc_is_told(sif: Path, runtime: Path) -> None:
    (sif.parent / "build.json").unlink()
    with pytest.raises(LaunchError, match="no panic-hpc in the container image"):
        submitted_image(cluster(container={"image": str(sif)}), environ={})


def test_an_image_of_another_version_is_told() -> None:
    build = Build(id="b1", version="0.0.7", commit="", lock="")
    with pytest.raises(LaunchError, match=r"holds panic-hpc 0\.0\.7, and this is 0\.1\.0"):
        refuse_other_version(Path("i.sif"), build, "0.1.0")
    refuse_other_version(Path("i.sif"), build, "0.0.7")
