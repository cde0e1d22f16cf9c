"""Steering with right answers: circles become squares, where they should and nowhere else."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panic_hpc.errors import ConfigError, ModelError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.base import Turn
from panic_hpc.models.loading import load
from panic_hpc.models.scene.reader import read
from panic_hpc.models.scene.scenes import SHAPES, groups_of
from panic_hpc.models.steering.prototypes import Prototypes, read_prototypes, to_bytes
from panic_hpc.planning.plan import make_plan
from panic_hpc.types import ModelSpec

pytestmark = pytest.mark.compute

SHIPPED = Path(__file__).parents[3] / "configs" / "experiments" / "shapes.npz"
SIZE = 8
PROMPTS = [
    f"there is one {size} {colour} circle in the centre on a {background} background"
    for size in ("small", "large")
    for colour, background in product(("red", "green", "blue", "purple"), ("white", "black"))
]
SEEDS = list(range(20, 28))


def planned_spec(steering: Mapping[str, Any] | None = None, **table: Any) -> ModelSpec:
    """Return MicroDiffusion as an experiment has it that steers it so."""
    more = {"steering": {"prototypes": str(SHIPPED), **steering}} if steering is not None else {}
    experiment = Experiment.model_validate(
        {
            "networks": [["X"]],
            "prompts": ["p"],
            "max_length": 1,
            "models": {"X": {"base": "MicroDiffusion", **table, **more}},
        }
    )
    return make_plan(experiment, catalogue.load()).networks[0].models[0]


def drawn(model: Any, prompts: list[str] = PROMPTS, iteration: int = 0) -> np.ndarray:
    turns = [Turn(0, "", {}, iteration)] * SIZE
    more = [turns] if model.wants_turn else []
    calls = [prompts[first : first + SIZE] for first in range(0, len(prompts), SIZE)]
    return np.stack([one.value for call in calls for one in model.generate(call, SEEDS, *more)])


@cache
def unsteered() -> np.ndarray:
    return drawn(load(planned_spec(), "cpu"))


def steered(**table: Any) -> np.ndarray:
    return drawn(load(planned_spec(table), "cpu"))


def share(pictures: np.ndarray, shape: str = "square") -> float:
    """Return the share of things that are of a shape."""
    shapes = [SHAPES[group[3]] for row in read(pictures) for _, group in groups_of(row)]
    return shapes.count(shape) / len(shapes)


@pytest.fixture
def random_direction(tmp_path: Path) -> Path:
    """Prototypes as far apart as the true ones, in a direction that means nothing."""
    true = read_prototypes(SHIPPED)
    rng = np.random.default_rng(5)

    def turned(means: np.ndarray) -> np.ndarray:
        way = rng.normal(size=means[0].shape)
        length = np.linalg.norm(means[1] - means[0], axis=-1, keepdims=True)
        way *= length / np.linalg.norm(way, axis=-1, keepdims=True)
        return np.stack([means[0], means[0] + way])

    places = {place: one._replace(means=turned(one.means)) for place, one in true.places.items()}
    path = tmp_path / "random.npz"
    path.write_bytes(to_bytes(Prototypes(true.header, places)))
    return path


def test_most_circles_become_squares_and_a_random_direction_makes_none(
    random_direction: Path,
) -> None:
    assert share(unsteered()) <= 0.1
    assert share(steered(strength=1.0)) >= 0.6
    assert share(steered(strength=1.0, prototypes=str(random_direction))) <= 0.2


def test_one_layer_holds_the_shape_and_the_others_do_not() -> None:
    assert share(steered(strength=1.0, layers=[3])) >= 0.6
    assert share(steered(strength=2.0, layers=[0, 1, 2])) <= 0.2


def test_back_again_squares_become_circles() -> None:
    prompts = [prompt.replace("circle", "square") for prompt in PROMPTS]
    model = load(planned_spec({"strength": 2.0, "reverse": True}), "cpu")
    assert share(drawn(model, prompts), "circle") >= 0.5
    assert share(drawn(load(planned_spec(), "cpu"), prompts), "circle") <= 0.1


def test_strength_zero_is_the_unsteered_model_and_nothing_of_steering_stays_behind() -> None:
    for steering in ({"strength": 0.0}, {"strength": 0.0, "location": "ffn", "half": "both"}):
        spec = planned_spec(steering)
        assert spec.identity() == planned_spec().identity()
    one = load(planned_spec({"strength": 2.0}), "cpu")
    changed = drawn(one)
    after = load.__globals__["build"](planned_spec())
    after.adopt(one)
    assert not np.array_equal(changed, unsteered())
    assert np.array_equal(drawn(after), unsteered())


def test_prototypes_enter_the_identity_by_their_contents(
    tmp_path: Path, random_direction: Path
) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(SHIPPED.read_bytes())
    spec = planned_spec({"strength": 1.0})
    assert planned_spec({"strength": 1.0, "prototypes": str(copy)}).identity() == spec.identity()
    other = planned_spec({"strength": 1.0, "prototypes": str(random_direction)})
    assert other.identity() != spec.identity()
    assert str(SHIPPED) not in str(spec.identity())


def test_an_item_is_steered_whatever_its_neighbours_are() -> None:
    model = load(planned_spec({"strength": 2.0, "gate": "euclidean"}), "cpu")
    others = [PROMPTS[0], *["there are two small green crosses on a grey background"] * 7]
    assert np.array_equal(drawn(model, others)[0], drawn(model)[0])


def test_only_iterations_of_the_window_are_steered() -> None:
    model = load(planned_spec({"strength": 2.0, "iterations": [3, 5]}), "cpu")
    always = steered(strength=2.0)
    for iteration, expected in ((2, unsteered()), (3, always), (5, always), (6, unsteered())):
        assert np.array_equal(drawn(model, iteration=iteration), expected), iteration


def test_the_conditional_half_steers_and_the_other_alone_does_not() -> None:
    def of(half: str) -> np.ndarray:
        return drawn(load(planned_spec({"strength": 2.0, "half": half}, guidance=2.0), "cpu"))

    assert share(of("cond")) >= 0.6
    assert share(of("uncond")) <= 0.2


def test_a_gate_spares_what_is_a_square_already() -> None:
    squares = [prompt.replace("circle", "square") for prompt in PROMPTS[:SIZE]]
    plain = drawn(load(planned_spec(), "cpu"), squares)
    for gate in ("euclidean", "mahalanobis"):
        gated = load(planned_spec({"strength": 2.0, "layers": [3], "gate": gate}), "cpu")
        free = load(planned_spec({"strength": 2.0, "layers": [3]}), "cpu")
        moved = [
            np.abs(drawn(model, squares) - plain.astype(float)).mean() for model in (gated, free)
        ]
        assert moved[0] < moved[1], gate


def test_the_share_along_the_way_is_taken_out() -> None:
    without = steered(strength=1.0, method="project_out", layers=[3])
    assert share(without, "circle") < share(unsteered(), "circle")


def test_the_unconditional_half_is_refused_where_calls_have_none() -> None:
    model = load(planned_spec({"half": "uncond"}), "cpu")
    with pytest.raises(ModelError, match="calls have none"):
        drawn(model)


def test_a_file_that_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(SHIPPED.read_bytes())
    spec = planned_spec({"prototypes": str(path)})
    path.write_bytes(SHIPPED.read_bytes() + b" ")
    with pytest.raises(ModelError, match="another one than was planned with"):
        load(spec, "cpu")
    with pytest.raises(ModelError, match="cannot be read"):
        load(replace(spec, files=()), "cpu")


@pytest.mark.parametrize(
    ("steering", "told"),
    [
        ({"layers": [7]}, "its file of prototypes has no layer 7 at ca: it has 0 to 3"),
        ({"passes": [8]}, "has no pass 8: its prototypes have 0 to 7"),
        ({"location": "ffn"}, "its file of prototypes has no location 'ffn': it has ca, text"),
        ({"prototypes": __file__}, "is no file of prototypes"),
        ({"setup": str(SHIPPED)}, "is no setup file"),
        ({"prototypes": "nowhere.npz"}, "steering.prototypes = 'nowhere.npz': No such file"),
        ({"location": "attention"}, "'ffn', 'ca' or 'block' was expected"),
        ({"layers": [-1]}, '"all", or a list of numbers from 0, was expected'),
        ({"iterations": [5, 3]}, "the first and the last iteration were expected"),
        ({"strenght": 1.0}, "strenght"),
        ({"setup": str(SHIPPED), "strength": 2.0}, "setup and strength"),
    ],
)
def test_a_mistake_is_told_when_it_is_planned(steering: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        planned_spec(steering)
    assert told in "; ".join(error.value.problems)


def test_prototypes_of_another_model_are_refused() -> None:
    with pytest.raises(ConfigError) as error:
        planned_spec({"strength": 1.0}, steps=4)
    assert "prototypes are of another model: steps 8, and 4 here" in error.value.problems[0]


def test_a_setup_file_steers_and_one_for_a_larger_model_is_refused(tmp_path: Path) -> None:
    scale = {"layers": [3], "strength_cond": 2.0, "strength_uncond": 0.0}
    setup: dict[str, Any] = {"scales": {str(passed): scale for passed in range(8)}}
    path = tmp_path / "setup.json"
    path.write_text(json.dumps(setup))
    assert np.array_equal(steered(setup=str(path)), steered(strength=2.0, layers=[3]))
    setup["scales"]["2"] = {**scale, "layers": [0, 3, 4, 5, 9]}
    path.write_text(json.dumps(setup))
    with pytest.raises(ConfigError) as error:
        planned_spec({"setup": str(path)})
    assert "has no layer 4, 5, 9 at ca: it has 0 to 3" in error.value.problems[0]


def test_text_encoders_steer_too() -> None:
    assert share(steered(strength=0.0, text={"strength": 2.0})) >= 0.5
