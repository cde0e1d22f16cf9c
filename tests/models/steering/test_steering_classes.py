"""Where each class of pipelines can be steered: the table, held against tiny real checkpoints."""

from typing import Any

import pytest
from class_contract import spec_of
from tiny_checkpoints.classes import TinyClass, all_classes

from panic_hpc.errors import ModelError
from panic_hpc.models.loading import load
from panic_hpc.models.steering.locations import (
    COND,
    UNCOND,
    Wiring,
    chosen,
    told,
    wiring_of,
    wirings,
)
from panic_hpc.models.steering.outline import outline_of
from panic_hpc.models.steering.taps import Taps, TimestepClock, halves_of
from panic_hpc.planning.locking import model_by_name

pytestmark = [
    pytest.mark.compute,
    # diffusers' schedulers make numpy arrays of tensors.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# Layers by location, and whether negative prompts reach the class; every class of the table.
EXPECTED: dict[str, tuple[dict[str, int], bool]] = {
    "sd15": ({"ffn": 4, "ca": 4, "block": 4, "text": 2}, True),
    "sdxl": ({"ffn": 8, "ca": 8, "block": 8, "text": 4}, True),
    "sd35": ({"ffn": 2, "block": 2, "text": 6}, True),
    "flux": ({"ffn": 1, "block": 2, "text": 4}, True),
    "flux2_klein": ({"ffn": 1, "block": 2, "text": 28}, False),
    "flux2_dev": ({"ffn": 1, "block": 2, "text": 31}, False),
    "qwen_image": ({"ffn": 2, "block": 2, "text": 2}, True),
    "pixart_alpha": ({"ffn": 2, "ca": 2, "block": 2, "text": 2}, True),
    "pixart_sigma": ({"ffn": 2, "ca": 2, "block": 2, "text": 2}, True),
    "sana": ({"ffn": 1, "ca": 1, "block": 1, "text": 2}, True),
    "z_image": ({"ffn": 2, "block": 2, "text": 2}, True),
}
HANDFUL = ("sd15", "flux", "z_image")


def _param(name: str) -> Any:
    tiny = all_classes()[name]
    marks = [] if name in HANDFUL else [pytest.mark.long]
    reason = f"needs {' and '.join(tiny.needs)}"
    marks.append(pytest.mark.skipif(not tiny.is_buildable, reason=reason))
    return pytest.param(tiny, id=name, marks=marks)


@pytest.fixture(scope="module", params=[_param(name) for name in EXPECTED])
def tiny(request: pytest.FixtureRequest) -> TinyClass:
    found: TinyClass = request.param
    return found


@pytest.fixture(scope="module")
def model(tiny: TinyClass, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny.save(tmp_path_factory.mktemp("steering") / tiny.name)
    return load(spec_of(tiny, folder), "cpu")


def heard(model: Any, **more: Any) -> tuple[dict[tuple[Any, ...], Any], list[tuple[str, int]]]:
    """Return what all places gave in one guided call, by place, pass and half, and their order."""
    taps = Taps(model.spec.name, model._pipeline, wiring_of(model._stored_kind, "X"))
    states: dict[tuple[Any, ...], Any] = {}
    order: list[tuple[str, int]] = []

    def visit(place: Any, moment: Any, hidden: Any) -> None:
        order.append((place.location, place.layer))
        for half, rows in moment.halves.items():
            key = (place.location, place.layer, moment.passed, half)
            states[key] = hidden[rows].float().clone()

    size = model.spec.batch_size
    with taps.listening(taps.places, size, visit):
        model._call(["a red circle"] * size, list(range(size)), {**model._arguments, **more}, {})
    return states, order


def test_places_are_those_of_the_table_and_are_called_in_the_order_of_their_layers(
    model: Any, tiny: TinyClass
) -> None:
    states, order = heard(model)
    layers, _ = EXPECTED[tiny.name]
    outline = outline_of(model.spec)
    assert {where: len(own) for where, own in outline.layers.items()} == layers
    # From configurations alone, and of the loaded pipeline: the same places.
    taps = Taps("X", model._pipeline, outline.wiring)
    assert outline.places == taps.places
    for location in layers:
        firsts = list(dict.fromkeys(layer for where, layer in order if where == location))
        assert firsts == sorted(firsts), location
    steps = model._arguments["num_inference_steps"]
    assert {key[2] for key in states if key[0] != "text"} == set(range(steps))


def test_a_negative_prompt_moves_the_unconditional_half_and_no_other(
    model: Any, tiny: TinyClass
) -> None:
    if not EXPECTED[tiny.name][1]:
        pytest.skip("its pipeline takes no negative prompt")
    scale = "true_cfg_scale" if wiring_of(model._stored_kind, "X").halves == "calls" else ""
    guided = {scale or "guidance_scale": 3.0}
    # As long as each other: one that is longer changes the shape of its tokens.
    before, _ = heard(model, **guided, negative_prompt="blue sky")
    after, _ = heard(model, **guided, negative_prompt="grey mud")
    # The first pass only: guidance carries both halves into the next picture.
    first = [key for key in before if key[2] == 0]
    moved = {key: bool((before[key] != after[key]).any()) for key in first}
    assert {key[3] for key in first} == {COND, UNCOND}
    assert all(is_moved == (key[3] == UNCOND) for key, is_moved in moved.items()), moved


def test_cross_attention_is_refused_where_attention_is_joint(model: Any, tiny: TinyClass) -> None:
    places = outline_of(model.spec).places
    if "ca" in EXPECTED[tiny.name][0]:
        assert chosen(places, "ca", [0], "X")
        return
    with pytest.raises(ModelError, match=r"X has no location 'ca': it has ffn, block, text"):
        chosen(places, "ca", None, "X")


def test_every_class_of_the_table_has_a_checkpoint_here() -> None:
    assert len(wirings()) == len(EXPECTED)


def test_layers_that_are_not_there_are_named_with_those_that_are(model: Any) -> None:
    places = outline_of(model.spec).places
    layers = told({place.layer for place in places if place.location == "block"})
    with pytest.raises(ModelError, match=f"no layer 99 at block: it has {layers}\\."):
        chosen(places, "block", [0, 99], "X")


def test_passes_are_told_apart_by_timesteps_and_not_by_calls() -> None:
    clock = TimestepClock()
    seen = []
    for timestep in (999.0, 500.0, 500.0, 1.0):
        clock.tick(timestep)
        seen.append((clock.passed, clock.call))
    assert seen == [(0, 0), (1, 0), (1, 1), (2, 0)]


class _Halting:
    """A clock as a model of tokens has it: the first call reads, each further one is a pass."""

    passed, call = -1, 0

    def tick(self, moment: float) -> None:
        self.passed = int(moment) - 1


def test_layers_that_read_and_draw_are_text_until_the_first_pass_begins() -> None:
    import torch

    whole = torch.nn.Module()
    whole.reader = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Linear(4, 4)])})
    layers = {"under": "layers", "class": "Linear"}
    wiring = Wiring.model_validate(
        {
            "denoiser": "reader",
            "timestep": "",
            "halves": "cond-first",
            "text_halves": "cond-first",
            "passes": "tokens",
            "stacks": [layers],
            "text": [{"part": "reader", "class": "Linear"}],
        }
    )
    whole.reader.forward = lambda hidden: whole.reader["layers"][0](hidden)
    taps = Taps("X", whole, wiring, _Halting)
    seen: list[Any] = []
    visit = lambda place, moment, hidden: seen.append((place.location, moment.passed))  # noqa: E731
    with taps.listening(taps.places, 2, visit):
        for _ in range(3):
            whole.reader(torch.zeros(4, 1, 4))
    assert seen == [("text", 0), ("block", 0), ("block", 1)]


def test_rows_belong_to_halves_in_the_order_of_the_class() -> None:
    assert halves_of("uncond-first", 0, 4, 2) == {UNCOND: slice(0, 2), COND: slice(2, 4)}
    assert halves_of("cond-first", 0, 4, 2) == {COND: slice(0, 2), UNCOND: slice(2, 4)}
    assert halves_of("uncond-first", 0, 2, 2) == {COND: slice(0, 2)}
    assert [halves_of("calls", call, 2, 2) for call in (0, 1)] == [
        {COND: slice(0, 2)},
        {UNCOND: slice(0, 2)},
    ]
    assert halves_of("calls", 0, 3, 2) == halves_of("uncond-first", 0, 3, 2) == {}


def test_numbers_are_told_in_spans() -> None:
    assert told([7, 0, 1, 2, 4]) == "0 to 2, 4, 7"


def test_models_that_draw_nothing_are_told_that_they_cannot_be_steered() -> None:
    with pytest.raises(ModelError, match=r"MicroTerse turns .*: diffusers, diff"):
        outline_of(model_by_name("MicroTerse"))
    assert outline_of(model_by_name("MicroDiffusion")).layers["ca"] == (0, 1, 2, 3)
