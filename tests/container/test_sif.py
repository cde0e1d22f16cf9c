"""A container image that cannot work is refused in one sentence before anything is queued."""

import json
import os
import platform
from pathlib import Path

import pytest

from panic_hpc.container.sif import (
    ARCHITECTURES,
    Build,
    check_image,
    inspect_image,
    refuse_other_build,
    running_build,
)
from panic_hpc.disk.files import sha256_of
from panic_hpc.errors import LaunchError

HERE = next(code for code, name in ARCHITECTURES.items() if name == platform.machine())
BUILD = Build(id="b1", version="0.1.0", commit="c", lock="l")


def sif(path: Path, architecture: bytes) -> Path:
    path.write_bytes(b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\x0001\0"
                     + architecture + bytes(64))  # fmt: skip
    return path


def test_an_image_of_this_machines_kind_is_accepted(tmp_path: Path) -> None:
    assert check_image(sif(tmp_path / "i.sif", HERE)).architecture == platform.machine()
    assert check_image(tmp_path).architecture == platform.machine()


def test_a_pipe_in_the_place_of_an_image_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "i.sif")
    with pytest.raises(LaunchError, match="not a regular file"):
        check_image(tmp_path / "i.sif")


def test_an_image_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = next(code for code in ARCHITECTURES if code != HERE)
    with pytest.raises(LaunchError, match=f"built for {ARCHITECTURES[other]}"):
        check_image(sif(tmp_path / "i.sif", other))


def test_an_absent_image_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"absent\.sif cannot be read: No such file"):
        check_image(tmp_path / "absent.sif")
    (tmp_path / "text.sif").write_text("hello")
    with pytest.raises(LaunchError, match="not a SIF file"):
        check_image(tmp_path / "text.sif")


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x").startswith("sha256:ba7816bf")


def test_an_image_without_panic_hpc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"no panic-hpc in the container image i\.sif"):
        inspect_image(("env", "-i"), Path("i.sif"))
    with pytest.raises(LaunchError, match="cannot be started"):
        inspect_image((str(tmp_path / "apptainer"),), Path("i.sif"))


def test_a_build_is_read_where_it_runs(tmp_path: Path) -> None:
    assert running_build(tmp_path / "absent.json") is None
    fields = {"id": "b1", "version": "0.1.0", "commit": "c", "lock": "l"}
    (tmp_path / "build.json").write_text(json.dumps(fields))
    assert running_build(tmp_path / "build.json") == BUILD


def test_work_for_one_image_is_refused_by_another() -> None:
    refuse_other_build("b1", BUILD, {})
    refuse_other_build("", None, {})
    for expected, running in (("b0", BUILD), ("", BUILD), ("b1", None)):
        with pytest.raises(LaunchError, match="PANIC_HPC_ALLOW_OTHER_IMAGE"):
            refuse_other_build(expected, running, {})
        refuse_other_build(expected, running, {"PANIC_HPC_ALLOW_OTHER_IMAGE": "1"})
