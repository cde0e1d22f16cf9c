"""Whether models fit together: round the cycle, from the prompt, and for embedding."""

from typing import Any

import pytest

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.chaining import chaining_problems
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.resolution import resolve


def problems(small: dict[str, Any], **changes: Any) -> list[str]:
    experiment = Experiment.model_validate({**small, **changes})
    return chaining_problems(experiment, resolve(experiment, catalogue.load()).specs)


@pytest.mark.parametrize(
    "network",
    [
        ["DummyT2I", "DummyI2T"],
        ["DummyT2I", "DummyI2T", "DummyT2I2", "DummyI2T2"],
        ["DummyT2I", "DummyI2T", "DummyT2I", "DummyI2T"],
    ],
)
def test_a_cycle_that_closes_is_well(small: dict[str, Any], network: list[str]) -> None:
    assert problems(small, networks=[network]) == []


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            ["DummyT2I", "DummyT2I2", "DummyI2T"],
            "gives image, but the next model, DummyT2I2, takes text",
        ),
        (["DummyT2I"], "gives image, but the first model of the cycle, DummyT2I, takes text"),
        (
            ["DummyT2I", "DummyI2T", "DummyT2I2"],
            "the first model of the cycle, DummyT2I, takes text",
        ),
        (
            ["DummyI2T", "DummyT2I"],
            "networks[0][0] = 'DummyI2T': takes image, but a prompt is text",
        ),
        (["DummyT2I", "DummyI2T", "DummyText"], "networks[0][2] = 'DummyText': an embedding model"),
    ],
)
def test_a_broken_cycle_is_told_where(
    small: dict[str, Any], network: list[str], expected: str
) -> None:
    (problem,) = [p for p in problems(small, networks=[network]) if p.startswith("networks[0]")]
    assert expected in problem


def test_the_prompt_is_something_to_embed(small: dict[str, Any]) -> None:
    assert problems(small, max_length=1) == []
    assert problems(small, max_length=1, embedding_models=["DummyVision"]) == []


def test_a_chain_that_ends_before_it_comes_round_need_not_close(small: dict[str, Any]) -> None:
    assert problems(small, networks=[["DummyT2I"]], max_length=1) == []
    assert problems(small, networks=[["DummyT2I", "DummyI2T", "DummyT2I2"]], max_length=3) == []
    (problem,) = problems(small, networks=[["DummyT2I"]], max_length=2)
    assert "gives image, but the first model of the cycle, DummyT2I, takes text" in problem


def test_a_generative_model_embeds_nothing(small: dict[str, Any]) -> None:
    (problem,) = problems(small, embedding_models=["DummyI2T"])
    assert "embedding_models[0] = 'DummyI2T': turns image into text" in problem


def test_images_that_are_embedded_are_kept(small: dict[str, Any]) -> None:
    (problem,) = problems(small, embedding_models=["DummyVision"], images={"keep_every": 2})
    assert problem.startswith("images.keep_every = 2: DummyVision embeds every image")
    assert problems(small, images={"keep_every": 2}) == []


def test_one_network_twice_would_give_every_run_twice(small: dict[str, Any]) -> None:
    network = ["DummyT2I", "DummyI2T"]
    (problem,) = problems(small, networks=[network, {"models": network, "noise": "fixed"}])
    assert problem.startswith("networks[0] and networks[1]: the same runs twice")
    assert "noise is fixed" in problem
    assert problems(small, networks=[network, {"models": network, "noise": "per_step"}]) == []


@pytest.mark.parametrize("seeds", [{"seeds": [1, -1]}, {"seeds": None, "seed_count": 2}])
def test_runs_without_a_seed_are_the_same_whatever_their_networks_noise(
    small: dict[str, Any], seeds: dict[str, Any]
) -> None:
    network = ["DummyT2I", "DummyI2T"]
    networks = [{"models": network, "noise": noise} for noise in ("fixed", "per_step")]
    (problem,) = problems(small, networks=networks, **seeds)
    assert "runs without a seed have per_step noise" in problem


def test_another_name_for_one_model_makes_no_other_runs(small: dict[str, Any]) -> None:
    networks = [["DummyT2I", "DummyI2T"], ["Alias", "DummyI2T"]]
    alias = {"family": "arithmetic", "kind": "text_to_image"}
    (problem,) = problems(small, networks=networks, models={"Alias": alias})
    assert "networks[0] and networks[1]" in problem
    assert problems(small, networks=networks, models={"Alias": {**alias, "size": 32}}) == []
