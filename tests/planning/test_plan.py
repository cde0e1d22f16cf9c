"""From experiment to shards: order, batches, keys, sizes."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import experiments
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.keys import run_key
from panic_hpc.planning.plan import Plan, PlanOptions, make_plan, plan_file
from panic_hpc.stages.runs.estimate import estimate_runs

CATALOGUE = catalogue.load()
BASE: dict[str, Any] = {
    "networks": [
        ["DummyT2I", "DummyI2T"],
        {"models": ["DummyT2I2", "DummyI2T"], "noise": "per_step"},
    ],
    "prompts": ["a", "b", "c"],
    "seeds": [1, -1],
    "embedding_models": ["DummyText"],
    "max_length": 10,
}


def planned(options: PlanOptions | None = None, **changes: Any) -> Plan:
    table = {key: value for key, value in {**BASE, **changes}.items() if value is not None}
    return make_plan(Experiment.model_validate(table), CATALOGUE, options or PlanOptions())


def test_runs_are_networks_by_prompts_by_seeds_as_written() -> None:
    plan = planned()
    runs = list(plan.runs())
    assert [run.index for run in runs] == list(range(12))
    places = [(run.network, run.prompt, run.seed) for run in runs]
    drawn = plan.seeds[1].value
    assert places == [(n, p, s) for n in (0, 1) for p in (0, 1, 2) for s in (1, drawn)]


def test_noise_is_the_networks_unless_the_run_is_unseeded() -> None:
    assert [run.noise for run in planned().runs(4, 4)] == ["fixed", "per_step"] + ["per_step"] * 2


def test_keys_say_what_a_run_is() -> None:
    plan = planned()
    run = plan.run(8)
    network, prompt = plan.networks[run.network], plan.prompts[run.prompt]
    assert run.key == run_key(network.key, prompt.text, run.seed, run.noise)
    assert len({run.key for run in plan.runs()}) == plan.n_runs


@pytest.mark.parametrize(
    "changes",
    [
        {"max_length": 11},
        {"loop_stop": False},
        {"images": {"codec": "png"}},
        {"images": {"keep_every": 2}},
        {"models": {"DummyI2T": {"batch_size": 8}}},
        {"models": {"DummyI2T": {"max_words": 7}}},
    ],
)
def test_what_decides_a_runs_content_is_in_its_key(changes: dict[str, Any]) -> None:
    assert planned(**changes).run(0).key != planned().run(0).key


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another"},
        {"threads": 2},
        {"homology": {"maxdim": 1}},
        {"embedding_models": ["DummyVision"]},
        {"prompts": ["a", "another"]},
        {"models": {"DummyI2T": {"seconds": 5.0}}},
    ],
)
def test_what_does_not_decide_it_is_not(changes: dict[str, Any]) -> None:
    assert planned(**changes).run(0).key == planned().run(0).key


def test_the_shard_layout_is_no_part_of_a_runs_key() -> None:
    keys = [run.key for run in planned(PlanOptions(runs_per_shard=4)).runs()]
    assert keys == [run.key for run in planned(PlanOptions(runs_per_shard=8)).runs()]


def test_runs_can_be_read_from_anywhere() -> None:
    plan = planned()
    runs = list(plan.runs())
    assert list(plan.runs(5, 3)) == runs[5:8]
    assert list(plan.runs(10, 99)) == runs[10:]
    assert list(plan.runs(3)) == runs[3:]
    assert plan.run(11) == runs[11]
    for outside in (-1, 12):
        with pytest.raises(IndexError):
            plan.run(outside)


@settings(deadline=None, max_examples=100)
@given(
    n_prompts=st.integers(1, 40),
    n_seeds=st.integers(1, 5),
    batches=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    runs_per_shard=st.integers(1, 50),
)
def test_shards_are_whole_blocks_of_one_network_and_miss_nothing(
    n_prompts: int, n_seeds: int, batches: tuple[int, int], runs_per_shard: int
) -> None:
    plan = planned(
        PlanOptions(runs_per_shard=runs_per_shard),
        prompts=[f"p{i}" for i in range(n_prompts)],
        seeds=list(range(n_seeds)),
        models={"DummyT2I": {"batch_size": batches[0]}, "DummyI2T": {"batch_size": batches[1]}},
    )
    assert [shard.index for shard in plan.run_shards] == list(range(len(plan.run_shards)))
    position = 0
    for shard in plan.run_shards:
        assert shard.first_run == position
        network = plan.networks[shard.network]
        start, end = shard.first_run - network.first_run, network.n_runs
        assert start % network.block == 0
        assert shard.n_runs % network.block == 0 or start + shard.n_runs == end
        assert all(
            model.batch_size and network.block % model.batch_size == 0 for model in network.models
        )
        assert shard.n_runs <= math.ceil(runs_per_shard / network.block) * network.block
        position += shard.n_runs
    assert position == plan.n_runs


def test_a_target_in_minutes_follows_the_models_cost() -> None:
    tables = {name: {"seconds": 3.0} for name in ("DummyT2I", "DummyT2I2", "DummyI2T")}
    many = [f"p{i}" for i in range(100)]
    plan = planned(PlanOptions(target_minutes=10), models=tables, prompts=many)
    # 30 s a run: 20 runs in ten minutes, whole blocks of the arithmetic batch size.
    assert {network.runs_per_shard for network in plan.networks} == {20}


def test_a_shard_holds_at_least_a_block_and_at_most_its_network() -> None:
    slow = {"DummyI2T": {"seconds": 60.0}}
    tiny = planned(PlanOptions(target_minutes=0.001), models=slow).networks[0]
    assert tiny.runs_per_shard == tiny.block
    assert planned(PlanOptions(target_minutes=1e9)).networks[0].runs_per_shard == 8


def test_too_much_is_refused_before_anything_is_expanded() -> None:
    many = [f"p{i}" for i in range(3000)]
    with pytest.raises(ConfigError, match="runs, over all networks"):
        planned(prompts=many, seeds=list(range(3000)))
    tables = {name: {"batch_size": 1} for name in ("DummyT2I", "DummyT2I2", "DummyI2T")}
    with pytest.raises(ConfigError, match="raise --runs-per-shard"):
        planned(PlanOptions(runs_per_shard=1), prompts=many, seeds=list(range(20)), models=tables)


def test_upstreams_readme_example_plans(experiment_file: Callable[..., Path]) -> None:
    plan = plan_file(Path("configs/experiments/upstream-example.json"), CATALOGUE)
    assert (plan.n_runs, plan.n_invocations) == (4, 400)
    assert [spec.name for spec in plan.specs] == ["FluxDev", "Moondream", "Nomic"]


MILLION = """
import resource, sys, time
from pathlib import Path
from panic_hpc.experiment import catalogue
from panic_hpc.planning import manifest, plan
from panic_hpc.paths import ExperimentPaths
resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9))
began = time.process_time()
planned = plan.plan_file(Path(sys.argv[1]), catalogue.load())
manifest.write(planned, ExperimentPaths(Path(sys.argv[2])))
assert planned.n_runs == 1_000_000, planned.n_runs
# Not ru_maxrss, which begins with that of the process that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time() - began, peak.split()[1])
"""


def test_a_million_runs_fit_into_a_gigabyte(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("".join(f"prompt number {i}\n" for i in range(200_000)))
    table = BASE | {"networks": [BASE["networks"][0]], "seeds": [1, 2, 3, 4, 5]}
    text = "\n".join(
        f"{key} = {value!r}" for key, value in table.items() if key not in ("prompts", "networks")
    )
    path = tmp_path / "e.toml"
    path.write_text(
        f'networks = [["DummyT2I", "DummyI2T"]]\nprompts_file = "prompts.txt"\n{text}\n'
    )
    command = [sys.executable, "-c", MILLION, str(path), str(tmp_path / "EXP")]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(result.stdout.split()[1]) * 1024 < 10**9


def test_the_estimate_of_a_lossy_experiment_is_that_of_its_quality(tmp_path: Path) -> None:
    names = ("webp-lossless", "avif-90", "avif-50")
    size = {"DummyT2I": {"size": 256}}
    plans = [
        experiments.planned(tmp_path / name, images={"codec": name}, models=size).manifest
        for name in names
    ]
    lossless, high, middle = (estimate_runs(plan).nbytes for plan in plans)
    assert lossless / 8 < high < lossless / 4
    assert middle < high / 2
    assert len({plan.networks[0].key for plan in plans}) == len(names)


def test_a_network_runs_the_prompts_that_it_names() -> None:
    plan = planned(
        networks=[
            {"models": ["DummyT2I", "DummyI2T"], "prompts": [0, 2]},
            ["DummyT2I2", "DummyI2T"],
            {"models": ["DummyT2I", "DummyI2T", "DummyT2I2", "DummyI2T"], "prompts": [1]},
        ],
    )
    places = [(run.network, run.prompt) for run in plan.runs()]
    assert places == [(n, p) for n, own in enumerate([(0, 2), (0, 1, 2), (1,)]) for p in own
                      for _ in range(2)]  # fmt: skip
    assert [run.index for run in plan.runs()] == list(range(12))
    assert [next(plan.runs(k, 1)) for k in range(12)] == list(plan.runs())
    whole = {run.key for run in planned(networks=[["DummyT2I", "DummyI2T"]]).runs()}
    assert {run.key for run in plan.runs(0, 4)} < whole
    assert sum(shard.n_runs for shard in plan.run_shards) == plan.n_runs == 12


@pytest.mark.parametrize(
    ("prompts", "told"),
    [([3], "there is no prompt number 3; there are 3"), ([1, 0], "ascending"), ([], "empty")],
)
def test_a_network_that_names_prompts_wrongly_is_told(prompts: list[int], told: str) -> None:
    with (
        pytest.raises(ValueError, match=told)
        if told == "empty"
        else pytest.raises(ConfigError, match=told)
    ):
        planned(networks=[{"models": ["DummyT2I", "DummyI2T"], "prompts": prompts}])
