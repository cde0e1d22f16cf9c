"""Sweeps: lists of settings become cells, equal cells are one, bad lists are told."""

from typing import Any

import pytest

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.planning.plan import Plan, make_plan

SOFT = {"base": "MicroTurbo", "guidance": [1.0, 2.0]}
OPEN: dict[str, Any] = {
    "networks": [["Soft"]],
    "prompts": ["a", "b"],
    "seeds": [1, 2],
    "max_length": 1,
    "models": {"Soft": SOFT},
}


def planned(**changes: Any) -> Plan:
    return make_plan(Experiment.model_validate({**OPEN, **changes}), catalogue.load())


def problems(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        planned(**changes)
    return list(caught.value.problems)


def names(plan: Plan) -> list[list[str]]:
    return [[model.name for model in network.models] for network in plan.networks]


def test_a_list_is_a_cell_a_value_and_the_default_cell_is_the_plain_model() -> None:
    plan = planned()
    assert names(plan) == [["Soft.guidance-1.0"], ["Soft.guidance-2.0"]]
    plain = planned(networks=[["MicroTurbo"]], models={})
    assert plan.networks[0].key == plain.networks[0].key
    assert [r.key for r in plan.runs(0, 4)] == [r.key for r in plain.runs()]
    assert plan.networks[1].key != plain.networks[0].key


def test_a_known_model_is_swept_under_its_own_name() -> None:
    plan = planned(networks=[["MicroTurbo"]], models={"MicroTurbo": {"guidance": [2.0, 3.0]}})
    assert names(plan) == [["MicroTurbo.guidance-2.0"], ["MicroTurbo.guidance-3.0"]]


def test_a_grid_is_the_product_in_the_order_written() -> None:
    plan = planned(models={"Soft": {"base": "MicroTurbo", "steps": [4, 2], "guidance": [1.0, 2.0]}})
    assert [name for (name,) in names(plan)] == [
        "Soft.steps-4.guidance-1.0",
        "Soft.steps-4.guidance-2.0",
        "Soft.steps-2.guidance-1.0",
        "Soft.steps-2.guidance-2.0",
    ]


def test_a_swept_model_in_two_places_of_a_network_is_the_same_cell_in_both() -> None:
    network = ["Soft", "MicroTerse", "Soft", "MicroVerbose"]
    plan = planned(networks=[network], max_length=4)
    assert [row[0] for row in names(plan)] == ["Soft.guidance-1.0", "Soft.guidance-2.0"]
    assert all(row[0] == row[2] for row in names(plan))


def test_two_swept_models_make_a_grid_and_the_first_is_outermost() -> None:
    models = {"Soft": SOFT, "Cap": {"base": "MicroTerse", "max_new_tokens": [8, 16]}}
    plan = planned(networks=[["Soft", "Cap"]], max_length=2, models=models)
    assert [row[0][-3:] + row[1][-2:] for row in names(plan)] == [
        "1.0-8",
        "1.016",
        "2.0-8",
        "2.016",
    ]


def test_cells_of_equal_identity_are_one() -> None:
    models = {"Soft": SOFT, "Loud": {"base": "MicroTurbo", "guidance": [2.0, 3.0]}}
    plan = planned(networks=[["Soft"], ["Loud"]], models=models)
    assert [row[0] for row in names(plan)] == [
        "Soft.guidance-1.0", "Soft.guidance-2.0", "Loud.guidance-3.0",
    ]  # fmt: skip
    # A plain model that was written keeps its name and its place, before or after the sweep.
    plan = planned(networks=[["Soft"], ["MicroTurbo"]])
    assert names(plan) == [["Soft.guidance-2.0"], ["MicroTurbo"]]
    assert set(plan.seconds) == {"Soft.guidance-2.0", "MicroTurbo"}


def test_a_value_that_is_there_twice_is_one_cell() -> None:
    assert len(planned(models={"Soft": {**SOFT, "guidance": [2.0, 2.0]}}).networks) == 1


def test_a_base_may_have_a_base_and_a_table_that_nothing_else_uses() -> None:
    models = {
        "Soft": {"base": "Firm", "guidance": 3.0},
        "Firm": {"base": "MicroTurbo", "steps": 2, "guidance": [1.0, 2.0]},
    }
    (network,) = planned(models=models).networks
    settings = network.models[0].settings
    assert (settings["guidance"], settings["steps"]) == (3.0, 2)
    assert network.models[0].revision == planned().networks[0].models[0].revision


def test_a_swept_embedding_model_is_one_for_each_cell() -> None:
    models = {"Soft": SOFT, "MicroText": {"max_tokens": [8, 16]}}
    plan = planned(models=models, embedding_models=["MicroText"])
    assert [m.name for m in plan.embedding_models] == [
        "MicroText.max_tokens-8", "MicroText.max_tokens-16",
    ]  # fmt: skip


def test_where_a_setting_takes_a_list_a_list_of_lists_is_a_sweep() -> None:
    one = planned(models={"Soft": {"base": "MicroTurbo", "arguments": {"sigmas": [1.0, 0.5]}}})
    assert names(one) == [["Soft"]]
    sigmas = [[1.0, 0.5], [1.0, 0.25]]
    two = planned(models={"Soft": {"base": "MicroTurbo", "arguments": {"sigmas": sigmas}}})
    found = [network.models[0].settings["arguments"]["sigmas"] for network in two.networks]
    assert found == sigmas
    assert all(len(network.models[0].name) <= 64 for network in two.networks)


def test_a_list_in_a_nested_table_is_a_sweep_too() -> None:
    models = {"Cap": {"base": "MicroTerse", "processor": {"do_rescale": [True, False]}}}
    plan = planned(networks=[["MicroTurbo", "Cap"]], max_length=2, models=models)
    found = [network.models[1].settings["processor"]["do_rescale"] for network in plan.networks]
    assert found == [True, False]


def test_bases_of_bases_end_somewhere() -> None:
    models = {f"M{k}": {"base": f"M{k + 1}"} for k in range(1000)}
    told = problems(models={**models, "M1000": {"base": "MicroTurbo"}, "Soft": {"base": "M0"}})
    assert any("more than 64 bases, one of the other" in problem for problem in told)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"guidance": []}, "models.Soft.guidance = []: empty; a list here is a sweep"),
        ({"guidance": [1.0, "x"]}, "models.Soft.guidance[1] = 'x': a number was expected"),
        ({"guidance": [1.0, [2.0]]}, "models.Soft.guidance[1] = [2.0]: a number was expected"),
        ({"guidance": [1.0, -1.0]}, "models.Soft.guidance[1] = -1.0: at least 0.0 was expected"),
        ({"guidance": [1.0], "base": "MicroTurbi"}, "models.Soft.base = 'MicroTurbi': no such mod"),
        ({"guidance": [1.0], "base": "Soft"}, "models.Soft.base = 'Soft': a circle of bases"),
        ({"guidence": [1.0, 2.0]}, "models.Soft.guidence: unknown key. Did you mean 'guidance'"),
        (
            {"steps": list(range(1, 201)), "guidance": [k / 8 for k in range(100)]},
            "models.Soft: 20000 cells; at most 10000",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_list_is_told_once_where_it_was_written(
    table: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(models={"Soft": {"base": "MicroTurbo", **table}})
    assert expected in problem


def test_a_mistake_in_a_swept_table_is_told_once_and_not_once_a_cell() -> None:
    (problem,) = problems(models={"Soft": {**SOFT, "stepz": 2}})
    assert problem.startswith("models.Soft.stepz: unknown key")


def test_a_known_model_cannot_be_based_on_another() -> None:
    (problem,) = problems(
        networks=[["MicroTurbo"]], models={"MicroTurbo": {"base": "MicroDiffusion"}}
    )
    assert "MicroTurbo is the name of a known model; choose another name" in problem


def test_as_many_networks_as_an_experiment_may_have() -> None:
    models = {
        "Soft": {"base": "MicroTurbo", "guidance": [k / 8 for k in range(200)]},
        "Cap": {"base": "MicroTerse", "max_new_tokens": list(range(1, 100))},
    }
    (problem,) = problems(networks=[["Soft", "Cap"]], max_length=2, models=models)
    assert problem == "networks: 19800 of them over all sweeps; at most 10000"
