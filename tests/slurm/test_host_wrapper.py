"""slurm/panic-hpc: commands of Slurm asked for inside an image run on the host, word for word.

The container runtime here is a small program that runs what it is given, with the image's own
host-command in front of the path, as the image's environment has it.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
AWKWARD = ["a b", "$(touch canary)", "`touch canary`", "new\nline", "'\"\\", "", "*", "é"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A login node with an `apptainer`, an `sbatch` and an `sinfo` of its own."""
    for folder in ("host", "image", "bin"):
        (tmp_path / folder).mkdir()
    program(tmp_path / "host/sbatch", 'printf "%s\\0" "$PWD" "$@"; cat; echo warned >&2; exit 3')
    program(tmp_path / "host/sinfo", "echo idle")
    program(
        tmp_path / "host/apptainer",
        'shift; while [ "$1" = --bind ]; do shift 2; done; shift\n'
        f'PATH="{tmp_path}/image:{tmp_path}/bin:/usr/bin:/bin" exec "$@"',
    )
    for name in ("sbatch", "sinfo", "rm-rf"):
        (tmp_path / "image" / name).symlink_to(REPOSITORY / "slurm/image/host-command")
    (tmp_path / "panic-hpc.sif").touch()
    return tmp_path


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def run(
    site: Path, body: str, *words: str, stdin: str = "", path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run slurm/panic-hpc where the image's panic-hpc is a program of `body`."""
    program(site / "bin/panic-hpc", body)
    environment = {
        **os.environ,
        "PATH": path or f"{site}/host:/usr/bin:/bin",
        "PANIC_HPC_IMAGE": str(site / "panic-hpc.sif"),
        "TMPDIR": str(site),
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(
        [REPOSITORY / "slurm/panic-hpc", *words], cwd=site, env=environment, input=stdin,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_words_directory_input_and_exit_code_arrive_exactly(site: Path) -> None:
    done = run(site, 'sbatch "$@"', *AWKWARD, stdin="#!/bin/sh\nscript\n")
    assert done.stdout.split("\0") == [str(site), *AWKWARD, "#!/bin/sh\nscript\n"]
    assert done.stderr == "warned\n"
    assert done.returncode == 3
    assert not (site / "canary").exists()


def test_a_command_that_reads_no_input_does_not_wait_for_it(site: Path) -> None:
    program(site / "bin/panic-hpc", "sinfo")
    read, write = os.pipe()  # an input that never ends
    environment = {**os.environ, "PATH": f"{site}/host:/usr/bin:/bin", "TMPDIR": str(site),
                   "PANIC_HPC_IMAGE": str(site / "panic-hpc.sif")}  # fmt: skip
    done = subprocess.run(
        [REPOSITORY / "slurm/panic-hpc"], cwd=site, env=environment, stdin=read,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(read)
    os.close(write)
    assert done.stdout == "idle\n"


def test_only_commands_of_the_list_are_run(site: Path) -> None:
    program(site / "host/rm-rf", "touch canary")
    done = run(site, "rm-rf everything")
    assert (done.returncode, "not one of the commands" in done.stderr) == (126, True)
    assert not (site / "canary").exists()


def test_a_command_that_the_host_lacks_is_named(
    site: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare = tmp_path_factory.mktemp("bare")
    for tool in ("bash", "mktemp", "mkfifo", "realpath", "rm", "cat"):
        (bare / tool).symlink_to(str(shutil.which(tool)))
    (site / "host/sinfo").unlink()
    done = run(site, "sinfo", path=f"{site}/host:{bare}")
    assert done.returncode == 127
    assert "sinfo: not found on the host" in done.stderr


def test_many_at_once_get_their_own_answers(site: Path) -> None:
    program(site / "host/sinfo", 'sleep 0.$((RANDOM % 3)); echo "$1"')
    body = "for i in $(seq 20); do (sinfo $i > out.$i) & done; wait; cat $(ls -v out.*)"
    assert run(site, body).stdout.split() == [str(i) for i in range(1, 21)]


def test_nothing_is_left_behind(site: Path) -> None:
    run(site, "sinfo")
    assert list(site.glob("panic-hpc.??*/")) == []


@pytest.mark.parametrize(
    ("image", "words"), [("", "set PANIC_HPC_IMAGE"), ("/absent.sif", "no image /absent.sif")]
)
def test_a_missing_image_is_one_sentence(site: Path, image: str, words: str) -> None:
    environment = {"PATH": f"{site}/host:/usr/bin:/bin", "PANIC_HPC_IMAGE": image}
    done = subprocess.run(
        [REPOSITORY / "slurm/panic-hpc", "status"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_outside_of_the_wrapper_the_command_says_what_to_do(site: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    command = site / "image/sbatch"
    done = subprocess.run([command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "slurm/panic-hpc" in done.stderr
