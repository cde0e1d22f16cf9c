"""The experiment's models: closed, frozen, and strict about types and bounds."""

from typing import Any

import pytest
from pydantic import ValidationError

from panic_hpc.experiment.config import MAX_SEED, MIN_SEED, Experiment, NetworkConfig
from panic_hpc.types import Prompt


def test_upstreams_keys_are_enough(small: dict[str, Any]) -> None:
    experiment = Experiment.model_validate(small)
    assert experiment.networks == (NetworkConfig(models=("DummyT2I", "DummyI2T")),)
    assert experiment.prompts[0] == Prompt("a red fox")
    assert (experiment.noise, experiment.loop_stop, experiment.threads) == ("fixed", True, 1)
    assert (experiment.images.codec, experiment.homology.maxdim) == ("webp-lossless", 2)


def test_a_network_may_have_noise_of_its_own(small: dict[str, Any]) -> None:
    small["networks"] = [["A", "B"], {"models": ["A", "C"], "noise": "per_step"}]
    noises = [network.noise for network in Experiment.model_validate(small).networks]
    assert noises == [None, "per_step"]


def test_a_prompt_may_belong_to_a_group(small: dict[str, Any]) -> None:
    small["prompts"] = ["alone", {"text": "in company", "group": "g"}, {"text": "x"}]
    prompts = Experiment.model_validate(small).prompts
    assert prompts == (Prompt("alone"), Prompt("in company", "g"), Prompt("x"))


def test_an_experiment_does_not_change(small: dict[str, Any]) -> None:
    experiment = Experiment.model_validate(small)
    with pytest.raises(ValidationError):
        experiment.max_length = 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("networks", []),
        ("networks", [[]]),
        ("networks", "DummyT2I"),
        ("networks", [{"models": ["A"], "nose": "fixed"}]),
        ("prompts", []),
        ("prompts", ["a", "a"]),
        ("prompts", ["a", {"text": "a", "group": "g"}]),
        ("prompts", ["  \n"]),
        ("prompts", [{"text": "a", "colour": "red"}]),
        ("prompts", [{"group": "g"}]),
        ("prompts", ["half a pair \ud83d"]),
        ("prompts", ["x" * 70_000]),
        ("prompts", [7]),
        ("seeds", []),
        ("seeds", [MIN_SEED - 1]),
        ("seeds", [MAX_SEED + 1]),
        ("seeds", [1, 1]),
        ("seeds", [True]),
        ("seeds", ["1"]),
        ("seeds", [1.0]),
        ("embedding_models", ["A", "A"]),
        ("embedding_models", ["../../etc"]),
        ("embedding_models", [".hidden"]),
        ("embedding_models", ["trailing\n"]),
        ("max_length", 0),
        ("max_length", "10"),
        ("max_length", float("nan")),
        ("max_length", 10**7),
        ("noise", "loud"),
        ("loop_stop", 1),
        ("threads", 0),
        ("name", "a b"),
        ("images", {"codec": "jpeg"}),
        *[
            ("images", {"codec": f"avif{q}"})
            for q in ("", "-", "-0", "-101", "-05", "-5.0", "-5\n")
        ],
        ("images", {"keep_every": -1}),
        ("homology", {"maxdim": -1}),
        ("homology", {"thresh": 0.0}),
        ("homology", {"thresh": float("inf")}),
        ("homology", {"engine": "ripser"}),
        ("homology", {"metric": "precomputed"}),
        ("homology", {"budget": 0}),
        ("models", {"DummyT2I": 3}),
        ("models", {"Unused": {"batch_size": 3}}),
        ("num_runs", 0),
        ("num_runs", 3),
        ("colour", "red"),
    ],
)
def test_what_cannot_be_meant_is_refused(small: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Experiment.model_validate({**small, key: value})


@pytest.mark.parametrize("key", ["networks", "prompts", "max_length"])
def test_what_is_needed_is_needed(small: dict[str, Any], key: str) -> None:
    del small[key]
    with pytest.raises(ValidationError):
        Experiment.model_validate(small)


@pytest.mark.parametrize(
    ("homology", "problem"),
    [
        ({"maxdim": 3}, "engine lazy computes dimensions up to 2"),
        ({"engine": "gudhi", "budget": 10}, "engine gudhi keeps to no budget"),
    ],
)
def test_an_engine_is_not_asked_for_what_it_cannot_do(
    small: dict[str, Any], homology: dict[str, Any], problem: str
) -> None:
    """Otherwise this would be told by the last stage, after days of runs."""
    with pytest.raises(ValidationError, match=problem):
        Experiment.model_validate({**small, "homology": homology})
