"""`panic-hpc steer`: what a model can be steered at, and the experiments that ship."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from panic_hpc.cli.steer import register
from panic_hpc.experiment import catalogue
from panic_hpc.paths import shipped_configs
from panic_hpc.planning.plan import Plan, plan_file

EXPERIMENTS = shipped_configs() / "experiments"


def steer(*words: str) -> Any:
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["steer", *words])


def plan_of(name: str) -> Plan:
    return plan_file(EXPERIMENTS / f"{name}.toml", catalogue.load())


@pytest.mark.compute
def test_locations_are_told_to_people_and_to_scripts() -> None:
    told = steer("locations", "MicroDiffusion")
    assert told.exit_code == 0
    assert "text      0 to 1" in told.output
    found = json.loads(steer("locations", "MicroDiffusion", "--json").stdout)
    assert (found["class"], found["passes"]) == ("StableDiffusionPipeline", 8)
    assert {place["location"] for place in found["places"]} == {"ffn", "ca", "block", "text"}


def test_the_shipped_sweep_has_one_baseline_and_it_is_the_plain_model() -> None:
    plan = plan_of("steer")
    steered = [network.models[0] for network in plan.networks]
    unsteered = [spec for spec in steered if "steering" not in spec.settings]
    # Strength 0 at one set of layers and at another is the same model.
    assert (len(steered), len(unsteered)) == (5, 1)
    [plain] = plan_of("shapes").networks
    assert unsteered[0].identity() == plain.models[0].identity()


def test_the_shipped_loop_is_steered_for_a_while_in_both_networks() -> None:
    windows = [
        network.models[0].settings["steering"]["iterations"]
        for network in plan_of("steer-loop").networks
        if "steering" in network.models[0].settings
    ]
    assert windows == [[3, 5], [3, 5]]


def test_the_shipped_ways_to_steer_are_cells_that_are_told_apart_and_one_baseline() -> None:
    plan = plan_of("steer-how")
    steered = {n.models[0].name: n.models[0].settings.get("steering") for n in plan.networks}
    assert [name for name, table in steered.items() if not table] == [
        "Gates.strength-0.0.gate-none"
    ]
    # What only one of the two strengths steers, and what both do.
    assert "Kinds.steering-strength-0.0.text-strength-2.0" in steered
    assert "Kinds.steering-strength-2.0.text-strength-2.0" in steered
    assert len(steered) == 9
    for key, values in {"gate": 3, "half": 3, "setup": 2}.items():
        assert len({str(table[key]) for table in steered.values() if table}) == values, key


@pytest.mark.parametrize("name", ["steer", "steer-how", "steer-loop"])
def test_prompts_that_are_fitted_are_not_those_that_are_steered(name: str) -> None:
    fitted = {prompt.text for prompt in plan_of("shapes").prompts}
    assert not fitted & {prompt.text for prompt in plan_of(name).prompts}


def test_a_fit_of_what_is_no_experiment_says_so(tmp_path: Path) -> None:
    output = tmp_path / "x.npz"
    found = steer("fit", str(tmp_path), "--from", "a", "--to", "b", "-o", str(output))
    assert found.exit_code != 0
    assert not output.exists()
