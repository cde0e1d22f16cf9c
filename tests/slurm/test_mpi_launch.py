"""Ranks of a merge under a real Slurm: connected, or refused."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.mpi]

STEADY_MPICH = {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}
"""Through UCX, PyPI's mpich was seen to fail in MPI_Init under srun, once in a dozen times."""

PROGRAM = """
from panic_hpc.merging.ranks import find_ranks
ranks = find_ranks()
print(ranks.rank, ranks.size, ranks.each(lambda: ranks.rank))
"""


def launch(*words: str) -> subprocess.CompletedProcess[str]:
    """Run PROGRAM under a launcher, with the MPI that the package mpich brought."""
    mpich = metadata.distribution("mpich")
    library = next(file for file in mpich.files or () if file.name.startswith("libmpi.so"))
    folder = Path(str(mpich.locate_file(library))).resolve().parent
    settings = {"LD_LIBRARY_PATH": str(folder), **STEADY_MPICH}
    return subprocess.run(
        [*words, sys.executable, "-c", PROGRAM],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.usefixtures("slurm")
def test_srun_connects_ranks_through_pmi2() -> None:
    done = launch("srun", "--partition=fat", "--ntasks=2", "--mpi=pmi2")
    assert sorted(done.stdout.splitlines()) == ["0 2 [0, 1]", "1 2 [0, 1]"], done.stderr


@pytest.mark.usefixtures("slurm")
def test_ranks_that_do_not_find_each_other_are_refused() -> None:
    done = launch("srun", "--partition=fat", "--ntasks=2", "--mpi=none")
    assert done.returncode != 0
    assert "2 processes were started, and MPI connected 1 of them" in done.stderr
