"""The real container image under a real Slurm: the bits of a local run outside of it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clusters import content_key, log_of, profile, states, submit, wait_until_over
from little_experiment import command_line, digests, plan_little

from panic_hpc.clusters.profiles import load_cluster, resolved
from panic_hpc.container.sif import Build, inspect_image, refuse_other_build
from panic_hpc.container.submitted import submitted_image

pytestmark = [pytest.mark.slurm, pytest.mark.apptainer]

REPOSITORY = Path(__file__).parents[2]
# Root's own mode wants every capability, which virtual machines may lack; and this is the mode in
# which squashfuse mounts the image, as for users of sites without a privileged Apptainer.
USERNS = "--userns"


def container(image: Path, more: str = "") -> str:
    """Return the tables of a profile whose jobs run in `image`."""
    return f'{more}\n[container]\nimage = "{image}"\nuserns = true\n'


def in_image(image: Path, *words: str) -> str:
    done = subprocess.run(
        ["apptainer", "exec", USERNS, "--no-home", str(image), *words],
        capture_output=True, text=True, check=True, timeout=120, cwd="/",
    )  # fmt: skip
    return done.stdout


def test_the_image_passes_its_own_test(image: Path) -> None:
    subprocess.run(["apptainer", "test", USERNS, image], check=True, timeout=240, cwd="/")


def test_the_image_says_what_it_is(image: Path) -> None:
    asked = ["apptainer", "inspect", "--labels", "--json", str(image)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    labels = json.loads(done.stdout)["data"]["attributes"]["labels"]
    build = inspect_image(("apptainer", "exec", USERNS, str(image)), image)
    assert labels["panic_hpc.commit"] == build.commit != ""
    assert labels["panic_hpc.lock"] == build.lock != ""
    assert in_image(image, "panic-hpc", "--help").count("Usage") == 1


def test_nothing_of_the_hosts_python_leaks_in(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    asked = (
        "import os, site, sys; "
        "print(sys.prefix, site.ENABLE_USER_SITE, os.getenv('OMP_NUM_THREADS'))"
    )
    told = in_image(image, "python3", "-c", asked)
    assert told.split() == ["/opt/panic-hpc/venv", "False", "3"]


def test_a_checkout_in_the_current_directory_is_not_imported(image: Path, tmp_path: Path) -> None:
    (tmp_path / "panic_hpc").mkdir()
    (tmp_path / "panic_hpc" / "__init__.py").write_text("raise SystemExit('of the host')")
    done = subprocess.run(
        ["apptainer", "exec", USERNS, image, "python3", "-m", "panic_hpc", "--help"],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert "Usage" in done.stdout, done.stderr


@pytest.mark.timeout(
    900
)  # a minute of walltime for each third of the work, and a machine that is busy
def test_arrays_in_the_image_with_a_requeue_have_the_bits_of_a_local_run(
    slurm: Any, image: Path, tmp_path: Path
) -> None:
    """Twelve steps of 5 s do not fit into Slurm's shortest walltime, a minute.

    What mounts the image unprivileged, squashfuse, is a process of the job like any other: it
    must be there until the last checkpoint is written.
    """
    local, root = (plan_little(tmp_path / name, delay_s=5.0) for name in ("local", "exp"))
    walltime = "[stages.runs]\nwalltime_min = 1\n"
    ranks = '[mpi]\nlauncher = "mpiexec"\n[stages.merge]\nranks_per_node = 2'
    submit(root, profile(tmp_path, container(image, f"{walltime}{ranks}")))
    with subprocess.Popen(command_line("submit", local, "--workers", "3")) as outside:
        wait_until_over(root, 800)
    assert outside.returncode == 0
    assert set(states(root, "merge")) == {"completed"}, log_of(root)
    assert log_of(root).count('"event": "stopped"') >= 3
    assert "Transport endpoint" not in log_of(root)
    assert digests(root) == digests(local)
    assert content_key(root) == content_key(local)


def test_an_image_is_recorded_and_another_one_refused(image: Path, tmp_path: Path) -> None:
    cluster = resolved(load_cluster(str(profile(tmp_path, container(image)))))
    found = submitted_image(cluster, binds=[str(tmp_path)])
    assert found is not None
    digest = subprocess.run(["sha256sum", image], capture_output=True, text=True, check=True).stdout
    assert found.exports["PANIC_HPC_IMAGE_DIGEST"] == f"sha256:{digest.split()[0]}"
    refuse_other_build(found.build.id, found.build, {})
    with pytest.raises(Exception, match="Submit again"):
        refuse_other_build(found.build.id, Build("other", "", "", ""), {})


def test_panic_hpc_from_the_image_drives_the_hosts_slurm(
    slurm: Any, image: Path, tmp_path: Path
) -> None:
    """plan, submit, status and merge through slurm/panic-hpc, without any Python of the host."""
    profile(tmp_path, container(image))
    (tmp_path / "small.toml").write_text(
        'name = "small"\nnetworks = [["DummyT2I", "DummyI2T"]]\nprompts = ["a boat"]\n'
        'seeds = [1, 2]\nembedding_models = ["DummyText"]\nmax_length = 5\n'
    )
    environment = {
        **os.environ, "PANIC_HPC_IMAGE": str(image), "PANIC_HPC_OPTIONS": USERNS,
        "APPTAINER_BIND": str(tmp_path),
    }  # fmt: skip

    def panic_hpc(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [REPOSITORY / "slurm/panic-hpc", *words], cwd=tmp_path, env=environment,
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    panic_hpc("plan", "small.toml", "EXP")
    panic_hpc("clusters", "check", "profile.toml")
    panic_hpc("submit", "EXP", "--cluster", "profile.toml", "--yes")
    wait_until_over(tmp_path / "EXP")
    assert "Everything is completed" in panic_hpc("status", "EXP")
    panic_hpc("merge", "EXP", "--output", "again.h5")
    assert (tmp_path / "again.h5").exists()
    # A verb that the image does not have yet ends as it would if it were installed.
    assert "No such command 'divine'" in panic_hpc("divine", "EXP", code=2)


@pytest.mark.parametrize("launcher", ["mpiexec", "srun"])
def test_two_ranks_connect_in_the_image(
    slurm: Any, image: Path, tmp_path: Path, launcher: str
) -> None:
    program = (
        "from panic_hpc.merging.ranks import find_ranks; r = find_ranks(); "
        "print(r.rank, r.size, r.each(lambda: r.rank))"
    )
    inside = ["apptainer", "exec", USERNS, "--no-home", str(image)]
    words = {
        "mpiexec": [*inside, "mpiexec", "-n", "2"],
        "srun": ["srun", "--mpi=pmi2", "--ntasks=2", *inside],
    }[launcher]
    script = tmp_path / "job.sh"
    quoted = " ".join(f"'{word}'" for word in (*words, "python3", "-c", program))
    script.write_text(f"#!/bin/sh\n{quoted}\n")
    size = "--ntasks=2" if launcher == "srun" else "--cpus-per-task=2"
    slurm.run("sbatch", "--wait", "--partition=fat", size, f"--output={tmp_path}/log", str(script))
    told = (tmp_path / "log").read_text()
    # UCX is refused /proc/PID/fd of a rank in another user namespace, says so, and goes on.
    lines = [line for line in told.splitlines() if not line.startswith(("INFO:", "["))]
    assert sorted(lines) == ["0 2 [0, 1]", "1 2 [0, 1]"]
