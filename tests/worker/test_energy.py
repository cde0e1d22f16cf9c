"""Energy of GPUs: NVML's counters end up in headers, logs and sums; a missing one says so.

nvidia-ml-py talks to a driver of two cards, built from tests/support/fake_nvml.cpp.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import needs
import pytest
from little_experiment import command_line, plan_little

import panic_hpc
from panic_hpc.backends.local.backend import worker_environment
from panic_hpc.backends.slurm.job_environment import job_environment
from panic_hpc.clusters.cluster import Cluster, energy_options
from panic_hpc.models.device.energy import EnergyMeter, grid_intensity

SOURCE = Path(__file__).parents[1] / "support" / "fake_nvml.cpp"
A_READING_J = 7.0
"""What the driver's card uses from one reading to the next."""
STEPS = 12
GRID = 400.0

pytestmark = pytest.mark.programs("g++")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a driver's library; nvidia-ml-py finds it by the name that drivers give it."""
    folder = tmp_path_factory.mktemp("driver")
    name = "libnvidia-ml.so.1"
    command = ["g++", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(folder / name)]
    subprocess.run([*command, str(SOURCE)], check=True)
    return folder


def run(root: Path, driver: Path, gpus: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(driver),
        "CUDA_VISIBLE_DEVICES": gpus,
        "PANIC_HPC_DEVICE": "cpu",
        "PANIC_HPC_CLUSTERS": str(root.parent),
    }
    return subprocess.run(
        command_line(*words), env=environment, capture_output=True, text=True, check=True
    )


def worked(tmp_path: Path, driver: Path, gpus: str) -> tuple[Path, list[dict[str, Any]]]:
    """Run a little experiment with those GPUs; return it and the provenance of its shards."""
    root = plan_little(tmp_path / "E", max_length=STEPS)
    (tmp_path / "green.toml").write_text(
        f'name = "green"\nscheduler = "local"\ngrid_g_per_kwh = {GRID}\n'
    )
    run(root, driver, gpus, "submit", str(root), "--cluster", "green", "--executor", "inline")
    with panic_hpc.open(root / "dataset.h5") as dataset:
        rows = dataset.shards().select("stage", "provenance").iter_rows()
        return root, [{"stage": stage, **json.loads(text)} for stage, text in rows]


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory: pytest.TempPathFactory, driver: Path
) -> tuple[Path, list[dict[str, Any]]]:
    """An experiment done with a card that counts, and the provenance of its shards."""
    needs.library("pynvml", "energy")
    needs.library("polars", "analysis")
    return worked(tmp_path_factory.mktemp("counted"), driver, "0")


def test_shards_and_usage_tell_of_energy(
    counted: tuple[Path, list[dict[str, Any]]], driver: Path
) -> None:
    gpus = "0"
    root, told = counted
    # Of a shard of two runs, which are a batch: two readings a call, and one for the header.
    used = {"runs": (2 * STEPS + 1) * A_READING_J, "merge": 0.0}
    for one in told:
        assert one["energy"]["joules"] == used.get(one["stage"], A_READING_J)
        assert one["energy"]["grid_g_per_kwh"] == GRID
    done = run(root, driver, gpus, "status", str(root), "--usage", "--json")
    rows = {row["stage"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"runs", "embeddings", "diagrams", "merge"}
    for stage, row in rows.items():
        # A worker reads before it begins and after it has ended.
        joules = row["shards"] * (used.get(stage, A_READING_J) + 2 * A_READING_J)
        assert row["gpu_wh"] == pytest.approx(joules / 3600)
        assert row["co2_g"] == pytest.approx(row["gpu_wh"] / 1000 * GRID)
    table = run(root, driver, gpus, "status", str(root), "--usage").stdout
    assert "GPUs by NVML" in table
    assert max(map(len, table.splitlines())) <= 80


def test_calls_have_their_energy_beside_their_seconds_and_merge_with_calls_that_have_none(
    tmp_path: Path, counted: tuple[Path, list[dict[str, Any]]], driver: Path
) -> None:
    root, _ = counted
    other = plan_little(tmp_path / "F", seeds=[3])
    run(other, driver, "", "submit", str(other), "--executor", "inline")
    both = tmp_path / "both.h5"
    run(root, driver, "", "merge", str(root), str(other), "-o", str(both))
    run(root, driver, "", "verify", str(both))
    with panic_hpc.open(both) as dataset:
        rows = dataset.invocations().join(dataset.runs(), on="run")
    has_none = rows["joules"].is_nan()
    assert set(rows.filter(has_none)["seed_right"]) == {3}
    measured = rows.filter(~has_none)
    assert set(measured["seed_right"]) == {1, 2}
    # A call is between two readings, and of two runs.
    assert set(measured["joules"]) == {A_READING_J / 2}


def test_a_card_without_a_counter_is_told_and_nothing_is_made_up(
    tmp_path: Path, driver: Path
) -> None:
    needs.library("pynvml", "energy")
    root, told = worked(tmp_path, driver, "0,1")
    missing = {"missing": "NVML says: Not Supported"}
    assert [one["energy"] for one in told] == [missing] * len(told)
    done = run(root, driver, "0,1", "status", str(root), "--usage", "--json")
    assert {row["gpu_wh"] for row in json.loads(done.stdout)} == {None}


READ = """
import sys
from panic_hpc.models.device.energy import EnergyMeter
for gpus in sys.argv[1:]:
    meter = EnergyMeter(gpus.split(","))
    print(meter.joules() is not None, meter.since(meter.joules()).get("missing", ""))
"""
FIRST = "GPU-aaaaaaaa-0000-0000-0000-000000000000"
TOLD = {
    "0": "True ",
    FIRST: "True ",
    "1": "False NVML says: Not Supported",
    "0,1": "False NVML says: Not Supported",
    "7": "False NVML says: Invalid Argument",
    "MIG-0": "False NVML says: Not Found",
}


def test_cards_are_found_by_number_and_by_name(driver: Path) -> None:
    needs.library("pynvml", "energy")
    done = subprocess.run(
        [command_line()[0], "-c", READ, *TOLD], env=os.environ | {"LD_LIBRARY_PATH": str(driver)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == list(TOLD.values())


def test_without_a_gpu_nothing_is_recorded() -> None:
    meter = EnergyMeter([])
    assert meter.joules() is None
    assert meter.since(None) == {}


def test_without_a_driver_the_reason_is_recorded() -> None:
    code = (
        "from panic_hpc.models.device.energy import EnergyMeter\n"
        "import sys, json\n"
        "sys.modules.update(json.loads(sys.argv[1]))\n"
        "meter = EnergyMeter(['0'])\n"
        "print(meter.since(meter.joules()))"
    )
    python = command_line()[0]
    found = [
        subprocess.run([python, "-c", code, hidden], capture_output=True, text=True, check=True)
        for hidden in ('{"pynvml": null}', "{}")
    ]
    assert found[0].stdout == "{'missing': 'nvidia-ml-py is not installed'}\n"
    if needs.library("pynvml", "energy") and not Path("/dev/nvidiactl").exists():
        assert found[1].stdout == "{'missing': 'NVML says: NVML Shared Library Not Found'}\n"


def test_the_grid_is_told_to_workers_and_kept_in_the_ledger() -> None:
    cluster = Cluster.model_validate(
        {
            "name": "green",
            "grid_g_per_kwh": 412.5,
            "stages": {"runs": {"gpus": 1, "workers_per_gpu": 2, "shards_per_job": 2}},
        }
    )
    for environment in (job_environment(cluster), worker_environment(cluster, 1)):
        assert grid_intensity(environment) == {"grid_g_per_kwh": 412.5}
    assert energy_options(cluster, "runs") == {"grid_g_per_kwh": 412.5, "workers_per_gpu": 2}
    silent = Cluster.model_validate({"name": "silent"})
    assert "PANIC_HPC_GRID_G_PER_KWH" not in job_environment(silent)
    assert energy_options(silent, "merge") == {}
    assert grid_intensity({"PANIC_HPC_GRID_G_PER_KWH": "much"}) == {}
