"""`clusters check` and the limits, against a real Slurm."""

from typing import Any

import pytest

from panic_hpc import installed
from panic_hpc.backends.slurm.commands import read_limits
from panic_hpc.clusters.cluster import Cluster, Limits
from panic_hpc.clusters.profiles import load_cluster
from panic_hpc.health.site import check_site

pytestmark = pytest.mark.slurm


def verdicts(cluster: Cluster) -> dict[str, str]:
    return {one.subject: f"{one.verdict}: {one.text}" for one in check_site(cluster)}


@pytest.mark.usefixtures("slurm")
def test_the_testbeds_profile_holds_on_the_testbed() -> None:
    found = verdicts(load_cluster("testbed"))
    assert not [text for text in found.values() if text.startswith("error")]
    assert "arrays of at most 11 tasks" in found["slurm"]
    assert found["sacct"].startswith("warning: no accounting")


@pytest.mark.usefixtures("slurm")
def test_wrong_partitions_gpus_and_mpi_are_found_without_queueing() -> None:
    cluster = Cluster.model_validate(
        {
            "name": "wrong",
            "mpi": {"launcher": "srun", "plugin": "pmi9"},
            "stages": {
                **{stage: {} for stage in installed.names("stages")},
                "runs": {"partition": "gpux"},
                "diagrams": {"gpus": 1, "gpu_type": "h100"},
            },
        }
    )
    found = verdicts(cluster)
    assert "no partition gpux here; there are fat, gpu" in found["runs partition"]
    assert found["runs sbatch"].startswith("error: ")
    assert found["diagrams sbatch"].startswith("error: ")
    assert found["merge sbatch"].startswith("ok: ")
    assert found["mpi"].startswith("error: ")


@pytest.mark.usefixtures("slurm")
def test_limits_of_the_running_slurm() -> None:
    limits = read_limits(Limits())
    assert limits.max_array_size == 11
    assert not limits.accounting


def test_nothing_was_queued_by_a_check(slurm: Any) -> None:
    verdicts(load_cluster("testbed"))
    assert slurm.run("squeue", "-h") == ""


@pytest.mark.usefixtures("accounting_slurm")
def test_sacct_is_found_where_there_is_accounting() -> None:
    assert read_limits(Limits()).accounting
    assert verdicts(load_cluster("testbed"))["sacct"] == "ok: answers"
