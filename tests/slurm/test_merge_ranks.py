"""The merge stage by several MPI ranks in a job, started either way."""

import os
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from clusters import content_key, log_of, profile, states, submit, wait_until_over
from little_experiment import plan_little, run_command, wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.mpi]


@pytest.mark.parametrize("mpi", ['launcher = "mpiexec"', 'launcher = "srun"\nplugin = "pmi2"'])
def test_two_ranks_make_the_dataset_that_one_makes(
    slurm: Any, tmp_path: Path, mpi: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plan_little(tmp_path / "exp")
    first_stages = [word for s in ("runs", "embeddings", "diagrams") for word in ("--stage", s)]
    run_command("submit", root, "--executor", "inline", *first_stages)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder_of("libmpi.so")))
    # Under srun, MPI_Init was seen to fail with UCX's default transports two times of six, with
    # these once in a dozen; through OFI the ranks connected and the merge then hung. Ranks that do
    # not find each other are a lost job, and are submitted again as a user would.
    monkeypatch.setenv("UCX_TLS", "self,tcp,sysv")
    monkeypatch.setenv("PATH", f"{folder_of('mpiexec')}:{os.environ['PATH']}")
    two = profile(tmp_path, f"[mpi]\n{mpi}\n[stages.merge]\nranks_per_node = 2\n")
    for _ in range(4):
        submit(root, two, "merge")
        wait_until_over(root)
        if states(root, "merge") != ["lost"] or "MPI_Init" not in log_of(root):
            break
    assert states(root, "merge") == ["completed"], log_of(root)
    wait_for(lambda: not os.listdir(root / "jobs" / "leases"), "the lease's release")
    joined = content_key(root)
    (root / "dataset.h5").unlink()
    run_command("submit", root, "--executor", "inline")
    assert content_key(root) == joined


def folder_of(name: str) -> Path:
    """Return where a file lies that the package mpich brought."""
    mpich = metadata.distribution("mpich")
    found = next(file for file in mpich.files or () if file.name.startswith(name))
    return Path(str(mpich.locate_file(found))).resolve().parent
