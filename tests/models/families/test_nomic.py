"""Nomic's encoder with experts: as llama.cpp has it, complete, and one text at a time."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from class_contract import copied, redigested, spec_of
from tiny_checkpoints.classes import all_classes

from panic_hpc.errors import ModelError
from panic_hpc.models.hub.repository_files import files_read
from panic_hpc.models.loading import load
from panic_hpc.models.nomic import network
from panic_hpc.types import ModelSpec

pytestmark = pytest.mark.compute

RECORDED = Path(__file__).with_name("nomic_of_llama_cpp.json")
"""What tools/checks/compare_nomic.py wrote of llama.cpp (llama-cpp-python 0.3.36)."""
BOUND = 1e-4


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the tool, with llama.cpp's GELU in place of the exact one."""
    import compare_nomic
    import torch

    monkeypatch.setattr(torch.nn.functional, "gelu", compare_nomic.table_gelu)
    return compare_nomic


def apart(compare: ModuleType, config: Any, tensors: Any, reading: ModuleType = network) -> float:
    """Return the largest difference from a number that llama.cpp gave."""
    theirs = np.array(json.loads(RECORDED.read_text())["vectors"])
    return float(np.abs(compare.our_vectors(config, tensors, reading) - theirs).max())


def test_vectors_are_those_of_llama_cpp(compare: ModuleType) -> None:
    recorded = json.loads(RECORDED.read_text())
    assert recorded["texts"] == list(compare.TEXTS)
    assert apart(compare, compare.CONFIG, compare.drawn(compare.CONFIG)) < BOUND


def test_gelu_is_the_exact_one(compare: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that of llama.cpp, which is not, is all that lies between."""
    import torch

    monkeypatch.undo()
    place, values = "encoder.layers.0.mlp", torch.linspace(-5, 5, 160).view(10, 16)
    weights = {f"{place}.fc1.bias": torch.zeros(24), f"{place}.fc2.bias": torch.zeros(16)}
    weights |= {f"{place}.fc1.weight": torch.eye(24, 16), f"{place}.fc2.weight": torch.eye(16, 24)}
    given = network._wide(compare.CONFIG, weights, place, values)
    exact = values / 2 * (1 + torch.erf(values / 2**0.5))
    assert (given - exact).abs().max() < 1e-6
    assert apart(compare, compare.CONFIG, compare.drawn(compare.CONFIG)) < 3e-3


MISREADINGS = {
    "shares that add up to one": (
        "kept = torch.zeros",
        "largest = largest / largest.sum(dim=-1, keepdim=True)\n    kept = torch.zeros",
    ),
    "a softmax of the chosen only": (
        "kept = torch.zeros",
        "largest = largest.log().softmax(dim=-1)\n    kept = torch.zeros",
    ),
    "one expert": ("topk(config.moe_top_k", "topk(1"),
    "three experts": ("topk(config.moe_top_k", "topk(3"),
    "another base": ("config.rotary_emb_base**pair", "1000**pair"),
    "a turn the other way": (
        "return angles.cos(), angles.sin()",
        "return angles.cos(), -angles.sin()",
    ),
    "neighbouring pairs": (
        "first, second = heads.chunk(2, dim=-1)",
        "first, second = heads[..., ::2], heads[..., 1::2]",
    ),
    "heads before kinds": (
        "view(len(vectors), 3, config.n_head, -1).permute(1, 2, 0, 3)",
        "view(len(vectors), config.n_head, 3, -1).permute(2, 1, 0, 3)",
    ),
    "no scale": ("/ query.shape[-1] ** 0.5", ""),
    "norms first": (
        'vectors = _normed(config, weights, f"{place}.norm2", given + vectors)',
        'vectors = _normed(config, weights, f"{place}.norm2", given) + vectors',
    ),
    "no shared vector": ("words + shared", "words"),
}


@pytest.mark.parametrize("what", MISREADINGS)
def test_another_reading_of_the_paper_gives_other_vectors(what: str, compare: ModuleType) -> None:
    assert apart(compare, compare.CONFIG, compare.drawn(compare.CONFIG), misread(what)) > 30 * BOUND


def misread(what: str) -> ModuleType:
    """Return the network with one of its lines changed."""
    source, (line, other) = Path(network.__file__).read_text(), MISREADINGS[what]
    assert source.count(line) == 1
    module = ModuleType("misread")
    exec(compile(source.replace(line, other), what, "exec"), module.__dict__)
    return module


def test_layers_and_matrices_that_are_swapped_give_other_vectors(compare: ModuleType) -> None:
    tensors, config = compare.drawn(compare.CONFIG), compare.CONFIG
    swapped = {name: tensors[_two_layers_on(name)] for name in tensors}
    crossed = dict(tensors)
    for name in tensors:
        if name.endswith("mlp.w2"):
            by_expert = tensors[name].reshape(config.num_experts, config.n_embd, config.n_inner)
            crossed[name] = by_expert.transpose(0, 2, 1).reshape(tensors[name].shape).copy()
    for changed in (swapped, crossed):
        assert apart(compare, config, changed) > 30 * BOUND


def _two_layers_on(name: str) -> str:
    for number in range(4):
        if f"layers.{number}." in name:
            return name.replace(f"layers.{number}.", f"layers.{(number + 2) % 4}.")
    return name


def test_what_experts_have_in_common_is_added_once(compare: ModuleType) -> None:
    """llama.cpp leaves it out: so this is what it does to a layer that has nothing else."""
    import torch

    shapes = network.shapes_of(compare.CONFIG)
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    place = "encoder.layers.1.mlp"
    weights[f"{place}.experts.bias"] = torch.arange(16.0)
    given = network._experts(compare.CONFIG, weights, place, torch.ones(3, 16))
    assert torch.equal(given, torch.arange(16.0).expand(3, 16))


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., ModelSpec]:
    kind = all_classes()["nomic_experts"]
    folder = kind.save(tmp_path / "tiny")

    def spec(**settings: Any) -> ModelSpec:
        return spec_of(kind, folder, **settings)

    return spec


def test_a_text_is_read_alone_behind_its_prefix(tiny: Callable[..., ModelSpec]) -> None:
    texts = ["a red fox", "", "boat " * 400]
    four = load(tiny(prefix=""), "cpu").embed([f"search_document: {text}" for text in texts])
    three, cut = load(tiny(batch_size=3), "cpu").embed(texts)
    assert np.array_equal(three, four[0])
    assert cut.tolist() == [False, False, True]
    assert np.allclose(np.linalg.norm(three, axis=1), 1)
    alone = np.stack([load(tiny(batch_size=1), "cpu").embed([text])[0][0] for text in texts])
    assert np.array_equal(alone, three)


def test_vectors_are_cut_before_they_are_scaled(tiny: Callable[..., ModelSpec]) -> None:
    whole = load(tiny(), "cpu").embed(["a red fox"])[0]
    model = load(tiny(dimension=5), "cpu")
    assert model.dimension == 5
    cut = whole[:, :5] / np.linalg.norm(whole[:, :5])
    assert np.allclose(model.embed(["a red fox"])[0], cut, atol=1e-6)
    with pytest.raises(ModelError, match="gives 16 numbers, not 17"):
        load(tiny(dimension=17), "cpu")


def test_weights_that_the_network_does_not_read_are_refused(
    tiny: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    spec = copied(tiny(), tmp_path / "copy")
    path = Path(spec.path) / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, "pooler.dense.weight": torch.ones(2)}, path)
    with pytest.raises(ModelError, match=r"has 1 weights that .* pooler\.dense\.weight first"):
        load(redigested(spec), "cpu")
    save_file({**weights, "emb_ln.bias": torch.ones(3)}, path)
    with pytest.raises(ModelError, match=r"emb_ln\.bias is \(3,\) and not \(16,\)"):
        load(redigested(spec), "cpu")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("moe_normalize_expert_weights", True),
        ("activation_function", "swiglu"),
        ("rotary_emb_fraction", 0.5),
        ("rotary_scaling_factor", 2),
        ("num_experts", None),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    key: str, value: Any, tiny: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    spec = copied(tiny(), tmp_path / "copy")
    path = Path(spec.path) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=f"is no NomicBertModel with experts: .*{key}"):
        load(redigested(spec), "cpu")


def test_sentence_transformers_names_the_family_that_has_experts(
    tiny: Callable[..., ModelSpec],
) -> None:
    settings = {"prefix": "", "max_tokens": 9, "dtype": "float32", "modality": "text"}
    spec = replace(tiny(), family="sentence_transformers", settings=settings)
    with pytest.raises(ModelError, match="has experts") as refused:
        load(spec, "cpu")
    assert 'family = "nomic_experts"' in str(refused.value.hint)


def test_what_a_fetch_brings_of_the_published_layout_is_enough(
    tiny: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    """No code, no pickled weights: the files beside are those that its repository has too."""
    spec = copied(tiny(), tmp_path / "copy")
    folder = Path(spec.path)
    (folder / "1_Pooling").mkdir()
    modules = [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Normalize"}]
    for name in ("1_Pooling/config.json", "README.md", "modeling_hf_nomic_bert.py", "model.bin"):
        (folder / name).write_text("{}")
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    brought = files_read(names, modules, "", code=False)
    assert not [name for name in brought if name.endswith((".py", ".bin", ".md"))]
    for name in set(names) - set(brought):
        (folder / name).unlink()
    texts = ["a red fox"]
    assert np.array_equal(
        load(redigested(spec), "cpu").embed(texts)[0], load(tiny(), "cpu").embed(texts)[0]
    )
