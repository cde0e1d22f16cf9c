"""A stage's resources become exactly the sbatch options that the profile asks for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from panic_hpc.clusters.resources import (
    AllocationCost,
    RankResources,
    ShardResources,
    StageResources,
    allocation_cost,
    sbatch_options,
)


def test_what_is_left_out_is_not_said_to_sbatch() -> None:
    assert sbatch_options(StageResources(nodes=None)) == {"ntasks-per-node": "1"}


def test_gpus_and_memory_are_multiplied_by_the_tasks_of_a_node() -> None:
    stage = ShardResources(
        gpus=1, gpu_type="a100", cpus=8, mem_gb=30, walltime_min=90, shards_per_job=4
    )
    assert sbatch_options(stage) == {
        "nodes": "1",
        "ntasks-per-node": "4",
        "cpus-per-task": "8",
        "time": "90",
        "gpus-per-node": "a100:4",
        "mem": "122880M",
    }


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("gpus-per-node", {"gpus-per-node": "2"}),
        ("gpus-per-task", {"gpus-per-task": "1"}),
        ("gres", {"gres": "gpu:2"}),
        ("none", {}),
    ],
)
def test_every_way_of_asking_for_gpus(option: str, expected: dict[str, str]) -> None:
    stage = ShardResources.model_validate({"gpus": 1, "gpu_option": option, "shards_per_job": 2})
    said = sbatch_options(stage)
    assert {name: said[name] for name in said if name.startswith(("gpu", "gre"))} == expected


@pytest.mark.parametrize(
    ("option", "expected"),
    [("mem", "16384M"), ("mem-per-cpu", "2048M"), ("mem-per-gpu", "4096M"), ("none", None)],
)
def test_every_way_of_asking_for_memory(option: str, expected: str | None) -> None:
    fields = {"gpus": 2, "cpus": 4, "mem_gb": 8, "mem_option": option, "shards_per_job": 2}
    assert sbatch_options(ShardResources.model_validate(fields)).get(option) == expected


def test_workers_that_share_a_gpu_ask_for_it_once() -> None:
    fields = {"gpus": 1, "mem_gb": 8, "mem_option": "mem-per-gpu", "walltime_min": 60}
    stage = ShardResources.model_validate({**fields, "shards_per_job": 2})
    shared = stage.sharing_gpus(3)
    assert (shared.shards_per_job, shared.tasks_per_node, shared.gpus_per_node) == (6, 6, 2)
    said = sbatch_options(shared)
    assert (said["gpus-per-node"], said["ntasks-per-node"]) == ("2", "6")
    # What three tasks need comes with the one GPU they share.
    assert said["mem-per-gpu"] == "24576M"
    assert allocation_cost(shared, jobs=4) == AllocationCost(cpu_hours=24, gpu_hours=8)
    assert shared.sharing_gpus(1) == stage.sharing_gpus(1)
    on_cores = ShardResources.model_validate({"shards_per_job": 2}).sharing_gpus(3)
    assert on_cores.tasks_per_node == 2


def test_extra_options_are_added_and_win() -> None:
    stage = StageResources(
        qos="normal", extra={"qos": "urgent", "reservation": "r", "spread": True}
    )
    said = sbatch_options(stage)
    assert (said["qos"], said["reservation"], said["spread"]) == ("urgent", "r", True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"extra": {"array": "0-9"}},
        {"extra": {"Reservation": "x"}},
        {"nodes": 2},
        {"mem_gb": 4, "mem_option": "mem-per-gpu"},
        {"mem_gb": 4, "mem_option": "mem-per-cpu"},
        {"gpus": 1, "workers_per_gpu": 2},
        {"gpus": 1, "workers_per_gpu": 2, "shards_per_job": 2, "gpu_option": "gpus-per-task"},
        {"walltime_min": 0},
        {"partiton": "gpu"},
    ],
)
def test_contradictions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ShardResources.model_validate(wrong)


@given(text=st.text(min_size=1))
@settings(max_examples=500, deadline=None)
@pytest.mark.parametrize("field", ["partition", "constraint", "gpu_type", "extra"])
def test_no_accepted_text_can_end_a_directive(field: str, text: str) -> None:
    """A newline in a job name was seen to be executed on the node."""
    value = {"reservation": text} if field == "extra" else text
    try:
        said = sbatch_options(StageResources.model_validate({field: value, "gpus": 1}))
    except ValidationError:
        return
    assert all(set(str(word)) <= set(ALLOWED) for word in said.values())


ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:;@%+=/&|*!()[]{}-"


def test_cost_counts_tasks_or_whole_nodes() -> None:
    fields = {"gpus": 1, "cpus": 8, "walltime_min": 30, "shards_per_job": 2}
    assert allocation_cost(ShardResources.model_validate(fields), jobs=4) == AllocationCost(
        cpu_hours=32, gpu_hours=4
    )
    whole = ShardResources.model_validate({**fields, "node_cpus": 48, "node_gpus": 4})
    assert allocation_cost(whole, jobs=4) == AllocationCost(cpu_hours=96, gpu_hours=8)


def test_cost_of_a_merge_counts_ranks_on_all_nodes() -> None:
    merge = RankResources(nodes=2, ranks_per_node=4, cpus=1, walltime_min=60)
    assert allocation_cost(merge, jobs=1) == AllocationCost(cpu_hours=8, gpu_hours=0)
