"""`panic-hpc merge` under a real mpiexec: the same dataset from one rank, two and four."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import experiments
import needs
import pytest

import panic_hpc
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.format.shard import open_shard

mpi4py = needs.library("mpi4py", "mpi")
_PLACES = (Path(sys.executable).parent, Path(mpi4py.__file__).parents[4] / "bin")
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([*map(str, _PLACES), os.environ["PATH"]]))

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(MPIEXEC is None, reason="needs mpiexec (the extra dev brings one)"),
]


# A damaged dataset: other files are not replaced unasked.
PREVIOUS = b"\x89HDF\r\n\x1a\n and no more"
KILLED = """
import os, signal, sys
from pathlib import Path
from panic_hpc.stages.merge.experiments import merge
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.ranks import find_ranks
ranks = find_ranks()
def report(done, total):
    if ranks.rank == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
options = MergeOptions(allow_missing=True, report=report)
merge([Path(sys.argv[1])], Path(sys.argv[1], "dataset.h5"), options, ranks)
"""


def merge(ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    return mpi(ranks, "-m", "panic_hpc", "merge", *arguments)


def mpi(ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LD_LIBRARY_PATH": str(Path(str(MPIEXEC)).parents[1] / "lib")}
    command = [str(MPIEXEC), "-n", str(ranks), sys.executable]
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> experiments.Planned:
    planned = experiments.planned(tmp_path_factory.mktemp("mpi") / "exp", runs_per_shard=2)
    planned.work("runs")
    return planned


def test_any_number_of_ranks_makes_the_same_dataset(
    experiment: experiments.Planned, tmp_path: Path
) -> None:
    root = experiment.paths.root
    contents = []
    for ranks in (1, 2, 4):
        target = tmp_path / f"{ranks}.h5"
        done = merge(ranks, root, "-o", target, "--allow-missing", "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        with panic_hpc.open(target) as dataset:
            dataset.file.check_all()
            assert dataset.content_key == report["content_key"]
            names = [name for name in dataset.file.entries if name != "metadata"]
            contents.append({name: dataset.file.array(name).tobytes() for name in names})
    assert contents[0] == contents[1] == contents[2]


def test_any_number_of_ranks_refers_to_the_same_pictures(
    experiment: experiments.Planned, tmp_path: Path
) -> None:
    # References lead down from the dataset's folder only.
    root = tmp_path / "exp"
    shutil.copytree(experiment.paths.root, root)
    contents = []
    for ranks in (1, 3):
        target = root / f"{ranks}.h5"
        done = merge(ranks, root, "-o", target, "--allow-missing", "--images", "reference")
        assert done.returncode == 0, done.stderr
        assert verify_file(target).findings == ()
        with panic_hpc.open(target) as dataset:
            names = [name for name in dataset.file.entries if name != "metadata"]
            contents.append({name: dataset.file.array(name).tobytes() for name in names})
            assert dataset.image(0, dataset.image_steps(0)[0]).size
    assert contents[0] == contents[1]
    assert "references/sha256" in contents[0]
    assert "images/values" not in contents[0]


def test_a_failure_on_one_rank_ends_all_and_keeps_the_dataset(
    experiment: experiments.Planned, tmp_path: Path
) -> None:
    root = tmp_path / "exp"
    shutil.copytree(experiment.paths.root, root)
    target = root / "dataset.h5"
    target.write_bytes(PREVIOUS)
    last = max((root / "shards" / "runs").iterdir())
    with open_shard(last) as file:
        place = file.entry("texts/values").offset
    content = bytearray(last.read_bytes())
    content[place] ^= 1
    last.unlink()
    last.write_bytes(content)
    done = merge(2, root, "--allow-missing")
    assert done.returncode != 0
    assert last.name in done.stderr
    assert "damaged" in done.stderr
    assert target.read_bytes() == PREVIOUS
    assert [path.name for path in root.glob(".*.tmp")] == []


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.long)])
def test_a_rank_that_is_killed_takes_the_merge_with_it_and_nothing_else(
    experiment: experiments.Planned, tmp_path: Path, rank: int
) -> None:
    root = tmp_path / "exp"
    shutil.copytree(experiment.paths.root, root)
    (root / "dataset.h5").write_bytes(PREVIOUS)
    assert mpi(2, "-c", KILLED, root, rank).returncode != 0
    assert (root / "dataset.h5").read_bytes() == PREVIOUS
    assert merge(2, root, "--allow-missing").returncode == 0
    with panic_hpc.open(root / "dataset.h5") as dataset:
        dataset.file.check_all()
