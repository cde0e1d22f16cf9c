"""The batch scripts of every shipped profile, word for word, without Slurm.

After a change that is meant, write them anew with WRITE_BATCH_SCRIPTS=1 and read the difference.
"""

import os
import subprocess
from pathlib import Path

import pytest

from panic_hpc.backends.slurm.batch_script import BatchJob
from panic_hpc.backends.slurm.sbatch import script
from panic_hpc.clusters.cluster import Cluster
from panic_hpc.clusters.profiles import load_cluster, resolved, shipped_directory
from panic_hpc.container.sif import Build
from panic_hpc.container.submitted import SubmittedImage
from panic_hpc.stages.base import installed_stages

GOLDEN = Path(__file__).parent / "batch_scripts"
PROFILES = sorted(
    name
    for path in shipped_directory().glob("[!_]*.toml")
    if load_cluster(name := path.stem, {}).scheduler == "slurm"
)
IMAGE = SubmittedImage(
    Path("/scratch/me/panic-hpc.sif"), "sha256:0123abcd", Build("b1", "0.1.0", "c", "l")
)
SITE = {"SCRATCH": "/scratch/me", "HOME": "/home/me"}


def site(name: str) -> Cluster:
    cluster = resolved(load_cluster(name, {}), SITE)
    return cluster.model_copy(update={"python": "/venv/bin/python"})


def job(cluster: Cluster, stage: str, size: int = 3) -> BatchJob:
    return BatchJob(
        cluster=cluster,
        stage=stage,
        name=f"{stage}-31e7b1bb-abc123",
        size=size,
        folder=Path(f"/scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-{stage}"),
        root=Path("/scratch/me/EXP"),
        threads=1,
        launch=installed_stages()[stage].launch,
        parallel=2,
        dependency="afterany:17",
        image=IMAGE if cluster.container else None,
    )


@pytest.mark.parametrize("stage", tuple(installed_stages()))
@pytest.mark.parametrize("name", PROFILES)
def test_the_script_is_the_one_that_was_read(name: str, stage: str) -> None:
    text = script(job(site(name), stage))
    golden = GOLDEN / f"{name}-{stage}.sh"
    if os.environ.get("WRITE_BATCH_SCRIPTS"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", PROFILES)
def test_the_script_is_bash_and_asks_for_a_requeue(name: str) -> None:
    text = script(job(site(name), "runs"))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "#SBATCH --requeue" in text
    assert "USR2" not in text


def test_no_golden_script_is_left_over() -> None:
    expected = {f"{name}-{stage}.sh" for name in PROFILES for stage in tuple(installed_stages())}
    assert {path.name for path in GOLDEN.iterdir()} == expected
