"""LPIPS against slow loops and a network of torch's own, with weights of the real shapes.

The published weights are out of reach here: what is tested is the computation.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from panic_hpc.errors import ConfigError, ModelError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import loading
from panic_hpc.models.base import Judged, Score
from panic_hpc.models.perceptual.lpips import distance, features_of, shapes
from panic_hpc.planning.plan import make_plan

pytestmark = pytest.mark.compute


def random_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return weights of the real shapes, spread so that features neither die nor explode."""
    rng = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes().items():
        values = torch.randn(shape, generator=rng)
        fan_in = max(1, int(np.prod(shape[1:])))
        # Linear weights are not negative in the published ones either.
        found[name] = values.abs() if name.startswith("lin") else values * (2 / fan_in) ** 0.5
    return found


def written(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    """Write weights as they are published: two files of torch."""
    folder.mkdir()
    linear = {name: value for name, value in weights.items() if name.startswith("lin")}
    rest = {name: value for name, value in weights.items() if name not in linear}
    # torchvision's file has the classifier too, which nothing here reads.
    torch.save({**rest, "classifier.6.bias": torch.zeros(3)}, folder / "alexnet-owt.pth")
    torch.save(linear, folder / "alex.pth")
    return folder


def metric(folder: Path | None, against: str = "previous") -> Any:
    where = {"path": str(folder)} if folder else {}
    table = {
        "networks": [["DummyT2I", "DummyI2T"]],
        "prompts": ["p"],
        "max_length": 4,
        "models": {"Alike": {"family": "lpips", "against": against, **where}},
        "stages": {"metrics": {"models": ["Alike"]}},
    }
    plan = make_plan(Experiment.model_validate(table), catalogue.load())
    (spec,) = plan.stage_models["metrics"]
    return loading.load(spec, "cpu")


def noise(seed: int, side: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side + 5, 3)).astype(np.uint8)


def slow_distance(
    features: list[np.ndarray], others: list[np.ndarray], weights: list[np.ndarray]
) -> float:
    """Return the distance of two pictures' features (C, h, w), a place after the other."""
    total = 0.0
    for one, other, weight in zip(features, others, weights, strict=True):
        _, height, width = one.shape
        summed = 0.0
        for y in range(height):
            for x in range(width):
                a, b = one[:, y, x], other[:, y, x]
                a = a / (np.sqrt(np.sum(a * a)) + 1e-10)
                b = b / (np.sqrt(np.sum(b * b)) + 1e-10)
                summed += sum(w * (p - q) ** 2 for w, p, q in zip(weight, a, b, strict=True))
        total += summed / (height * width)
    return total


def test_the_distance_of_any_stack_of_features_is_that_of_a_slow_loop() -> None:
    rng = np.random.default_rng(1)
    sizes = [(3, 5, 4), (7, 2, 3), (2, 1, 1)]
    one, other = ([rng.normal(size=(2, *size)) for size in sizes] for _ in range(2))
    # A place where nothing is seen has no direction: it counts as zero, and is not NaN.
    one[0][0, :, 2, 2] = 0
    weights = [rng.random(size[0]) for size in sizes]
    tensors = ([torch.from_numpy(value) for value in values] for values in (one, other, weights))
    found = distance(*tensors)
    for item in range(2):
        slow = slow_distance([v[item] for v in one], [v[item] for v in other], weights)
        assert float(found[item]) == pytest.approx(slow, rel=1e-12)


def test_features_are_those_of_the_network_as_torch_has_it() -> None:
    from torch import nn

    weights = random_weights()
    layers = [
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, 1, 2),
        nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(), nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(),
    ]  # fmt: skip
    network = nn.Sequential(*layers)
    state = {name: value for name, value in weights.items() if name.startswith("features.")}
    network.load_state_dict({name.removeprefix("features."): v for name, v in state.items()})
    picture = noise(2)
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255 * 2 - 1
    values = (values - torch.tensor([-0.030, -0.088, -0.188])[:, None, None]) / torch.tensor(
        [0.458, 0.448, 0.450]
    )[:, None, None]
    expected = []
    with torch.inference_mode():
        for place, layer in enumerate(network):
            values = layer(values)
            expected += [values] if place in (1, 4, 7, 9, 11) else []
        found = features_of(weights, picture)
    assert [tuple(one.shape) for one in found] == [tuple(one.shape) for one in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_pictures_are_further_apart_the_more_they_are_changed(tmp_path: Path) -> None:
    weights = random_weights()
    model = metric(written(tmp_path / "w", weights))
    picture, other = noise(3), noise(4)
    mixed = (0.8 * picture + 0.2 * other).astype(np.uint8)
    items = [Judged(picture, picture), Judged(mixed, picture), Judged(other, picture)]
    same, near, far = (score.values[0] for score in model.score(items))
    assert same == 0 < near < far
    # A distance goes both ways, and no neighbour has a part in it.
    back = model.score([Judged(picture, other)])
    assert back[0].values[0] == pytest.approx(far, rel=1e-5)
    assert model.score(items[::-1]) == model.score(items)[::-1]
    with torch.inference_mode():
        a, b = ([layer[0].numpy() for layer in features_of(weights, p)] for p in (other, picture))
    linear = [weights[f"lin{layer}.model.1.weight"].flatten().numpy() for layer in range(5)]
    assert far == pytest.approx(slow_distance(a, b, linear), rel=1e-4)


def test_pictures_that_cannot_be_compared_are_told(tmp_path: Path) -> None:
    model = metric(written(tmp_path / "w", random_weights()))
    pair = model.score([Judged(noise(1), noise(1, 32)), Judged(noise(1, 30), noise(2, 30))])
    assert [score.problem for score in pair] == [
        "pictures of 53 x 48 and 37 x 32",
        "a picture of 35 x 30; LPIPS reads 31 or more",
    ]
    assert model.score([Judged(noise(1, 31), noise(1, 31))]) == [Score((0.0,))]


def test_weights_may_be_safetensors_and_what_is_missing_is_said(tmp_path: Path) -> None:
    weights = random_weights()
    folder = written(tmp_path / "w", weights)
    expected = metric(folder).score([Judged(noise(1), noise(2))])
    (tmp_path / "s").mkdir()
    save_file(weights, tmp_path / "s" / "all.safetensors")
    assert metric(tmp_path / "s").score([Judged(noise(1), noise(2))]) == expected
    (folder / "alex.pth").unlink()
    with pytest.raises(ModelError) as raised:
        metric(folder)
    assert "lacks lin0.model.1.weight (1 x 64 x 1 x 1) and 4 more" in str(raised.value)
    assert "alex.pth of the package lpips" in str(raised.value)


def test_a_file_that_would_run_something_is_not_read(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    folder = written(tmp_path / "w", random_weights())
    torch.save({"x": Runs()}, folder / "more.pth")
    with pytest.raises(ModelError, match="cannot be loaded"):
        metric(folder)
    assert not (tmp_path / "ran").exists()


def test_without_a_folder_it_is_refused_at_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"repository, or path, of its weights is missing"):
        metric(None)
    with pytest.raises(ConfigError, match=r"models\.Alike\.against"):
        metric(written(tmp_path / "w", random_weights()), against="none")
