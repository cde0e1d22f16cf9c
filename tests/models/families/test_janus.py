"""Janus draws: tokens from the distribution that its logits say, steered where it should be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import planned, stage_named
from scipy.stats import chisquare
from tiny_checkpoints.classes import all_classes

from panic_hpc.errors import ConfigError, ModelError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.autoregressive.drawing import WIRING, TokenClock, _Draw
from panic_hpc.models.loading import build, load
from panic_hpc.models.steering.locations import COND, UNCOND
from panic_hpc.models.steering.outline import outline_of
from panic_hpc.models.steering.prototypes import Header, Prototype, Prototypes, to_bytes
from panic_hpc.models.steering.taps import Taps
from panic_hpc.models.steering.weights import weights_of
from panic_hpc.planning.plan import make_plan
from panic_hpc.store.format.shard import open_shard
from panic_hpc.store.results.activations import ACTIVATIONS
from panic_hpc.types import RUNS, ModelSpec

pytestmark = pytest.mark.compute

N_TOKENS, N_PASSES, WIDTH = 16, 5, 16
TABLE: Mapping[str, Any] = {"family": "janus", "batch_size": 2, "passes": N_PASSES}
# Noise alone decides the tokens: what a prompt or a push changes is seen at its layers only.
BLIND = {"temperature": 1e9}
# Weights drawn at random hardly prefer a token: here they do.
KEEN = {"temperature": 1e-3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return all_classes()["janus"].save(tmp_path_factory.mktemp("janus") / "tiny")


def spec_of(folder: Path, **table: Any) -> ModelSpec:
    """Return the model as an experiment has it."""
    models = {"X": {**TABLE, "max_sequence_length": 64, "path": str(folder), **table}}
    told = {"networks": [["X"]], "prompts": ["p"], "max_length": 1, "models": models}
    plan = make_plan(Experiment.model_validate(told), catalogue.load())
    return plan.networks[0].models[0]


@pytest.fixture(scope="module")
def prototypes(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Prototypes that are far apart in each pass, at every place."""
    rng = np.random.default_rng(3)

    def prototype(n_passes: int) -> Prototype:
        means = rng.normal(size=(2, n_passes, WIDTH)).astype("<f4")
        return Prototype(means, np.ones(n_passes), means[0])

    places = {(where, layer): prototype(N_PASSES) for where in ("ffn", "block") for layer in (0, 1)}
    places |= {("text", layer): prototype(1) for layer in (0, 1)}
    header = Header(
        model="X",
        weights=dict(weights_of(spec_of(folder).identity())),
        classes=("a", "b"),
        n_prompts=(2, 2),
        n_vectors=(2, 2),
        source="",
    )
    path = tmp_path_factory.mktemp("prototypes") / "p.npz"
    path.write_bytes(to_bytes(Prototypes(header, places)))
    return str(path)


def states_of(model: Any, prompts: list[str]) -> dict[tuple[Any, ...], np.ndarray]:
    """Return all that layers give in one call, by place, pass and half, call by call."""
    taps = Taps("X", model._model.model, WIRING, lambda: TokenClock(N_TOKENS, N_PASSES))
    states: dict[tuple[Any, ...], list[np.ndarray]] = {}

    def visit(place: Any, moment: Any, hidden: Any) -> None:
        for half, rows in moment.halves.items():
            key = (place.location, place.layer, moment.passed, half)
            states.setdefault(key, []).append(hidden[rows].float().numpy().copy())

    with taps.listening(taps.places, len(prompts), visit):
        model.generate(prompts, [1, 2])
    return {key: np.concatenate(calls, axis=1) for key, calls in states.items()}


def pictures(model: Any) -> np.ndarray:
    return np.stack([one.value for one in model.generate(["a red fox", "a boat"], [1, 2])])


def test_tokens_are_drawn_as_often_as_the_guided_logits_say() -> None:
    import torch

    cond, uncond = torch.tensor([2.0, 1.0, 0.0, -1.0]), torch.tensor([1.0, 1.0, 1.0, 1.0])
    draw = _Draw(torch, [4, 5], guidance=2.0, temperature=1.5)
    scores = torch.stack([cond, uncond, uncond, uncond])
    drawn = np.array([draw(None, scores).argmax(-1).tolist() for _ in range(4000)])
    expected = torch.softmax((uncond + 2.0 * (cond - uncond)) / 1.5, -1).double()
    counts = np.bincount(drawn[:, 0], minlength=4)
    assert chisquare(counts, 4000 * (expected / expected.sum()).numpy()).pvalue > 1e-3
    assert chisquare(np.bincount(drawn[:, 1], minlength=4)).pvalue > 1e-3


def test_logits_that_are_not_finite_fail_their_item_alone() -> None:
    import torch

    draw = _Draw(torch, [4, 5], guidance=2.0, temperature=1.0)
    scores = torch.zeros(4, 8)
    scores[3, 2] = float("nan")
    draw(None, scores)
    draw(None, torch.zeros(4, 8))
    assert draw.finite.tolist() == [True, False]


def test_passes_are_ranges_of_the_tokens_that_are_read_back() -> None:
    clock = TokenClock(N_TOKENS, N_PASSES)
    seen = []
    for call in range(N_TOKENS):
        clock.tick(call)
        seen.append(clock.passed)
    assert seen == [-1, *(passed for passed in range(5) for _ in range(3))]


def test_the_outline_of_the_checkpoint_is_that_of_the_loaded_model(folder: Path) -> None:
    spec = spec_of(folder)
    outline = outline_of(spec)
    model = load(spec, "cpu")
    assert outline.layers == {"ffn": (0, 1), "block": (0, 1), "text": (0, 1)}
    assert outline.n_passes == N_PASSES
    assert outline.places == Taps("X", model._model.model, WIRING).places
    states = states_of(model, ["a red fox", "a boat"])
    assert {key[2] for key in states if key[0] != "text"} == set(range(N_PASSES))
    # Three tokens a pass; the prompt as a whole.
    assert {value.shape[1] for key, value in states.items() if key[0] != "text"} == {3}
    assert {value.shape[1] for key, value in states.items() if key[0] == "text"} == {64}


def test_a_prompt_moves_the_conditional_half_and_no_other(folder: Path) -> None:
    model = load(spec_of(folder, **BLIND), "cpu")
    # As long as each other: the mask is that of both halves.
    before, after = states_of(model, ["red fox"] * 2), states_of(model, ["old cat"] * 2)
    moved = {key: not np.array_equal(before[key], after[key]) for key in before}
    assert {key[3] for key in before} == {COND, UNCOND}
    assert all(is_moved == (key[3] == COND) for key, is_moved in moved.items()), moved


@pytest.mark.parametrize("half", [COND, UNCOND])
def test_a_push_is_felt_in_its_pass_and_half_and_nowhere_else(
    half: str, folder: Path, prototypes: str
) -> None:
    plain = states_of(load(spec_of(folder, **BLIND), "cpu"), ["a fox"] * 2)
    table = {
        "prototypes": prototypes,
        "location": "block",
        "layers": [1],
        "passes": [2],
        "half": half,
    }
    model = load(spec_of(folder, steering=table, **BLIND), "cpu")
    # Around the listening, so that what is compared is what goes on.
    with model._layers.around(2, 0):
        pushed = states_of(model, ["a fox"] * 2)
    moved = {key for key in plain if not np.array_equal(plain[key], pushed[key])}
    assert moved == {("block", 1, 2, half)}


def test_strength_zero_is_the_unsteered_model_and_any_other_is_not(
    folder: Path, prototypes: str
) -> None:
    own = load(spec_of(folder, **KEEN), "cpu")
    plain = pictures(own)
    idle = spec_of(folder, steering={"prototypes": prototypes, "strength": 0.0})
    assert idle.identity() == spec_of(folder).identity()
    for table in (
        {"location": "block"},
        {"location": "ffn", "strength": 9.0},
        {"location": "ffn", "strength": 0.0, "text": {"strength": 2.0}},
    ):
        steered = build(spec_of(folder, steering={"prototypes": prototypes, **table}, **KEEN))
        steered.adopt(own)
        assert not np.array_equal(pictures(steered), plain), table
    assert np.array_equal(pictures(own), plain)


def test_what_it_lacks_is_told(folder: Path, prototypes: str) -> None:
    with pytest.raises(ModelError, match=r"tell 16 passes apart: .* 16 tokens it reads 15"):
        load(spec_of(folder, passes=16), "cpu")
    with pytest.raises(ModelError, match="no room for a prompt: its template alone has 8 tokens"):
        load(spec_of(folder, max_sequence_length=8), "cpu")
    for table, told in (
        ({"passes": 4}, "another model: passes 5, and 4 here"),
        ({}, "has no location 'ca': it has ffn, block, text"),
    ):
        with pytest.raises(ConfigError) as error:
            spec_of(folder, steering={"prototypes": prototypes, "location": "ca"}, **table)
        assert told in error.value.problems[0]


def test_a_long_prompt_loses_its_end_and_not_that_of_the_template(folder: Path) -> None:
    prompts = load(spec_of(folder), "cpu")._prompts
    read = prompts.read(["fox", "fox " * 100])
    assert [row[-1] for row in read.ids] == [prompts.begin_of_image] * 2
    short, long = (row[-prompts._n_behind :] for row in read.ids)
    assert short == long
    assert [len(row) for row in read.ids] == [64, 64]
    assert [count.is_truncated for count in read.counts] == [False, True]
    assert sum(read.mask[1]) == 64 > sum(read.mask[0]) == read.counts[0].n_tokens


def test_it_is_captured_as_other_models_are(folder: Path, tmp_path: Path) -> None:
    one = planned(
        tmp_path / "capture",
        networks=[["X"]],
        prompts=["a fox", "a boat"],
        seeds=[1],
        embedding_models=[],
        max_length=1,
        models={"X": {**TABLE, "max_sequence_length": 64, "path": str(folder)}},
        stages={ACTIVATIONS: {"models": ["X"], "locations": ["ffn", "block", "text"]}},
    )
    one.work(RUNS, ACTIVATIONS)
    [shard] = stage_named(ACTIVATIONS).shards(one.manifest)
    with open_shard(one.paths.shard(shard), manifest_key=one.manifest.key) as file:
        columns = [file.array(f"activations/{name}") for name in ("location", "layer", "pass")]
        places = set(zip(*(column.tolist() for column in columns), strict=True))
    expected = {(at, layer, p) for at in (0, 2) for layer in (0, 1) for p in range(N_PASSES)}
    assert places == expected | {(3, layer, 0) for layer in (0, 1)}
