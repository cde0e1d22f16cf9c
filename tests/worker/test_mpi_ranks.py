"""A worker that is several MPI ranks: rank 0 leases and records, all of them merge."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import needs
import pytest
from experiments import planned

mpi4py = needs.library("mpi4py", "mpi")
_PLACES = (Path(sys.executable).parent, Path(mpi4py.__file__).parents[4] / "bin")
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([*map(str, _PLACES), os.environ["PATH"]]))

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPIEXEC is None, reason="needs mpiexec (the extra dev brings one)"),
]


def work(root: Path) -> str:
    command = [
        str(MPIEXEC),
        "-n",
        "2",
        sys.executable,
        "-m",
        "panic_hpc",
        "worker",
        str(root),
        "merge",
    ]
    library = str(Path(str(MPIEXEC)).parents[1] / "lib")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"LD_LIBRARY_PATH": library},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ranks_wait_merge_once_and_find_it_done(tmp_path: Path) -> None:
    experiment = planned(tmp_path / "exp")
    experiment.work("runs", "embeddings")
    told = work(experiment.paths.root)
    assert told.count('"event": "waiting"') == 1, "rank 0 speaks for all, and lets the others go"
    experiment.work("diagrams")
    assert work(experiment.paths.root).count('"event": "completed"') == 1
    made = experiment.paths.dataset.stat()
    assert '"begins"' not in work(experiment.paths.root)
    assert experiment.paths.dataset.stat().st_ino == made.st_ino
    assert os.listdir(experiment.paths.leases) == []
