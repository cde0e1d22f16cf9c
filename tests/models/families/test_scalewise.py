"""Scale-wise transformers: the bits of a picture, and the contract on a tiny checkpoint."""

import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panic_hpc import installed
from panic_hpc.errors import ModelError
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.loading import load
from panic_hpc.models.settings import identity_of
from panic_hpc.models.steering.outline import outline_of
from panic_hpc.types import ModelSpec

pytestmark = [
    pytest.mark.compute,
    *(
        pytest.mark.filterwarnings(f"ignore::{kind}:(diffusers|transformers|torch)")
        for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
    ),
]
SIZES: Mapping[str, Any] = {
    "scales": [1, 2, 3],
    "patch": 4,
    "backgrounds": [[0, 0, 0], [255, 255, 255], [9, 8, 7]],
    "colours": [[255, 0, 0], [0, 255, 0], [0, 0, 255], [80, 80, 80], [1, 2, 3]],
    "width": 24,
    "heads": 2,
    "layers": 2,
    "text_width": 16,
}
PROMPTS = ["a red fox", "boat " * 900, "", "ünïcode ☃ on the grey"]
SEEDS = [1, 2, 3, 2**63 - 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of untrained weights, large enough that every input moves the picture."""
    import torch
    from safetensors.torch import save_file
    from tiny_checkpoints.pipelines import clip_reader

    from panic_hpc.models.scalewise.checkpoint import ScalewiseParts
    from panic_hpc.models.scalewise.config import ScalewiseConfig

    root = tmp_path_factory.mktemp("scalewise")
    torch.manual_seed(0)
    for name, part in clip_reader(limit=12).items():
        part.save_pretrained(root / name)
    parts = ScalewiseParts(ScalewiseConfig.model_validate(SIZES), torch.nn.Identity(), None)
    state = {
        name: value + 0.3 * torch.randn_like(value) for name, value in parts.state_dict().items()
    }
    save_file(state, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps(SIZES))
    return root


def spec_of(folder: Path, **table: Any) -> ModelSpec:
    family = installed.plugins("families")["scalewise"]
    filled = family.settings.model_validate({"batch_size": 4, **table})
    values = identity_of(filled)
    size = values.pop("batch_size")
    consumes, produces = family.modalities(filled)
    revision = folder_digest(folder)
    return ModelSpec("X", "scalewise", consumes, produces, "", revision, str(folder), size, values)


def drawn(spec: ModelSpec, prompts: list[str] = PROMPTS, seeds: list[int] = SEEDS) -> np.ndarray:
    return np.stack([one.value for one in load(spec, "cpu").generate(prompts, seeds)])


def test_bits_are_the_signs_of_what_coarser_scales_have_left() -> None:
    import torch

    from panic_hpc.models.scalewise.bits import ScaleBits

    quantiser = ScaleBits((1, 2, 4), 4).requires_grad_(False)
    features = torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(3))
    coded = quantiser.code(features)
    assert torch.equal(coded.bits[0][:, 0], features.mean(1) > 0)
    left = features - (coded.bits[0].float() * 2 - 1) * quantiser.gains[0]
    quarters = left.reshape(2, 2, 2, 2, 2, 4).mean((2, 4)).reshape(2, 4, 4)
    assert torch.equal(coded.bits[1], quarters > 0)
    again = torch.zeros_like(features)
    for scale, bits in enumerate(coded.bits):
        assert torch.equal(coded.before[scale], quantiser.at(scale, again))
        again = quantiser.added(scale, again, bits)
    assert torch.equal(again, coded.features)


def test_a_bit_passed_on_wrong_is_put_right_by_finer_scales() -> None:
    import torch

    from panic_hpc.models.scalewise.bits import ScaleBits

    quantiser = ScaleBits((1, 2, 4), 1).requires_grad_(False)
    quantiser.gains.fill_(1.0)
    features = torch.full((1, 16, 1), 0.3)
    none = [torch.zeros(1, side**2, 1, dtype=torch.bool) for side in (1, 2, 4)]
    flipped = [~none[0], *none[1:]]
    right, wrong = quantiser.code(features, none), quantiser.code(features, flipped)
    assert torch.equal(right.bits[0], wrong.bits[0])
    assert bool(wrong.bits[1].all())
    assert bool(wrong.bits[2].all())
    assert not right.bits[1].any()


def test_scales_drawn_one_by_one_see_what_training_sees_and_none_sees_a_finer_one(
    folder: Path,
) -> None:
    import torch

    from panic_hpc.models.scalewise.transformer import Past

    parts = load(spec_of(folder), "cpu")._parts
    text = parts.text_of(PROMPTS[:2])
    features = torch.randn(2, 9, 21, generator=torch.Generator().manual_seed(4))
    before = parts.quantiser.code(features).before
    whole = parts.transformer.all_scales(text, before)
    summary, memory = parts.transformer.summary_in(text.summary), parts.transformer.remembered(text)
    past = Past(2)
    single = [
        parts.transformer(
            parts.transformer.embedded(summary, maps, k), summary, memory, text.mask, past=past
        )
        for k, maps in enumerate(before)
    ]
    torch.testing.assert_close(torch.cat(single, 1), whole, rtol=1e-4, atol=1e-5)
    changed = [*before[:2], before[2] + 1]
    other = parts.transformer.all_scales(text, changed)
    assert torch.equal(other[:, :5], whole[:, :5])
    assert not torch.equal(other[:, 5:], whole[:, 5:])


def test_a_palette_draws_what_patches_tell() -> None:
    import torch

    from panic_hpc.models.scalewise.coder import PaletteCoder, number_of, signs_of
    from panic_hpc.models.scalewise.config import ScalewiseConfig

    config = ScalewiseConfig.model_validate(SIZES)
    assert config.bit_groups == (16, 2, 3)
    numbers = torch.arange(5)
    assert torch.equal(number_of(signs_of(numbers, 3), 5), numbers)
    features = torch.full((1, 9, 21), -1.0)
    features[0, :, 16:18] = signs_of(torch.tensor(2), 2)
    # The fifth patch is the middle one; of its pixels, the second of the first line.
    features[0, 4, 18:] = signs_of(torch.tensor(7), 3)
    features[0, 4, 1] = 1.0
    [picture] = PaletteCoder(config).decode(features).tolist()
    things = {(y, x): picture[y][x] for y in range(12) for x in range(12)}
    # There is no eighth colour: it is the last.
    assert things.pop((4, 5)) == [1, 2, 3]
    assert set(map(tuple, things.values())) == {(9, 8, 7)}


def test_an_items_picture_is_its_own_whatever_its_neighbours_and_slot_are(folder: Path) -> None:
    for table in ({}, {"guidance": 3.0, "negative_prompt": "boat"}):
        spec = spec_of(folder, **table)
        pictures = drawn(spec)
        assert pictures.shape == (4, 12, 12, 3)
        assert pictures.dtype == np.uint8
        assert np.array_equal(drawn(spec, PROMPTS[::-1], SEEDS[::-1]), pictures[::-1])
        assert np.array_equal(drawn(spec, [PROMPTS[0]] * 4, [1, 7, 8, 9])[0], pictures[0])


def test_prompt_seed_guidance_and_temperature_each_decide(folder: Path) -> None:
    base = drawn(spec_of(folder))
    assert not np.array_equal(drawn(spec_of(folder), seeds=[5, 6, 7, 8]), base)
    assert not np.array_equal(drawn(spec_of(folder), ["a ship"] * 4)[0], base[0])
    guided = drawn(spec_of(folder, guidance=4.0))
    assert not np.array_equal(guided, base)
    negative = spec_of(folder, guidance=4.0, negative_prompt="a red fox")
    # Where both halves are the same, guidance moves nothing.
    assert np.array_equal(drawn(negative)[0], base[0])
    assert not np.array_equal(drawn(negative)[1], guided[1])
    cold = spec_of(folder, temperature=0.0)
    assert np.array_equal(drawn(cold), drawn(cold, seeds=[5, 6, 7, 8]))


def test_prompts_are_counted_and_cut_ones_are_told(folder: Path) -> None:
    outputs = load(spec_of(folder), "cpu").generate(PROMPTS, SEEDS)
    assert [one.input_truncated for one in outputs] == [False, True, False, True]
    assert outputs[2].input_tokens == 2


def test_places_and_passes_are_told_without_weights(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bare"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").unlink()
    outline = outline_of(spec_of(copy))
    layers = {"ffn": (0, 1), "ca": (0, 1), "block": (0, 1), "text": (0, 1)}
    assert outline.layers == layers
    assert outline.n_passes == 3


def test_every_place_is_heard_once_a_scale_and_only_in_the_conditional_half(folder: Path) -> None:
    def heard(**table: Any) -> dict[tuple[str, int, int], np.ndarray]:
        model = load(spec_of(folder, guidance=2.0, **table), "cpu")
        with model.hearing(["ca", "ffn", "block", "text"]) as rows:
            model.generate(PROMPTS, SEEDS)
        return dict(rows.rows)

    first = heard()
    places = set(product(("ca", "ffn", "block"), (0, 1), (0, 1, 2)))
    assert set(first) == places | {("text", 0, 0), ("text", 1, 0)}
    assert {rows.shape for rows in first.values()} == {(4, 24), (4, 16)}
    # Only what the first scale gives: later ones read the picture so far, which both halves decide.
    other = heard(negative_prompt="a ship")
    for where in ("ca", "ffn", "block", "text"):
        assert np.array_equal(first[where, 1, 0], other[where, 1, 0])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: (path / "config.json").unlink(), "config.json is no configuration"),
        (lambda path: (path / "config.json").write_text("{}"), "scales: Field required"),
        (
            lambda path: (path / "config.json").write_text(json.dumps({**SIZES, "width": 25})),
            "not divisible by 2 heads",
        ),
        (
            lambda path: (path / "config.json").write_text(json.dumps({**SIZES, "layers": 3})),
            "does not fit config.json, transformer.layers.2.ada first: nothing, and 6 x 24",
        ),
        (lambda path: (path / "model.safetensors").unlink(), "model.safetensors cannot be read"),
    ],
)
def test_a_folder_of_something_else_is_refused(
    folder: Path, tmp_path: Path, spoil: Any, told: str
) -> None:
    copy = tmp_path / "spoilt"
    shutil.copytree(folder, copy)
    spoil(copy)
    with pytest.raises(ModelError, match=told):
        load(replace(spec_of(folder), path=str(copy), revision=folder_digest(copy)), "cpu")


def test_a_negative_prompt_that_decides_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="no effect while guidance is 1"):
        spec_of(folder, negative_prompt="a ship")


def test_every_weight_of_ours_is_in_the_table_of_infinitys_names_or_said_to_have_no_like(
    folder: Path,
) -> None:
    there = resources.files("panic_hpc.models.scalewise").joinpath("infinity.toml")
    table = tomllib.loads(there.read_text())
    parts = load(spec_of(folder), "cpu")._parts
    ours = {name for name in parts.state_dict() if not name.startswith("text_encoder.")}
    named = [name.replace("{n}", str(n)) for name in table["names"].values() for n in (0, 1)]
    prefixes = tuple([*named, *table["without"]["ours"]])
    assert {name for name in ours if not name.startswith(prefixes)} == set()
    assert [one for one in prefixes if not any(name.startswith(one) for name in ours)] == []
