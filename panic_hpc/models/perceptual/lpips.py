"""LPIPS, the learned perceptual image patch similarity, on AlexNet's features; version 0.1.

Zhang, Isola, Efros, Shechtman and Wang, The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric, CVPR 2018. 1. Both pictures are scaled to [-1, 1] and normalised by colour.
2. After each of AlexNet's five convolutions features are scaled to unit length over channels.
3. Their squared differences, weighted by channel, are summed over channels and averaged over
places. 4. The layers' sum is the distance: 0 for equal pictures, larger for less alike ones.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from panic_hpc.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

EPSILON = 1e-10
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
SMALLEST = 31
"""Pixels a side: of fewer nothing is left behind the second pooling."""


class Convolution(NamedTuple):
    """One of AlexNet's: its place in torchvision's list, shape, stride, padding; pooled before?"""

    place: int
    shape: tuple[int, int, int, int]
    stride: int
    padding: int
    is_pooled: bool


ALEXNET = (
    Convolution(0, (64, 3, 11, 11), 4, 2, is_pooled=False),
    Convolution(3, (192, 64, 5, 5), 1, 2, is_pooled=True),
    Convolution(6, (384, 192, 3, 3), 1, 1, is_pooled=True),
    Convolution(8, (256, 384, 3, 3), 1, 1, is_pooled=False),
    Convolution(10, (256, 256, 3, 3), 1, 1, is_pooled=False),
)
WHERE_THEY_ARE = (
    "Put torchvision's AlexNet (alexnet-owt-7be5be79.pth) and alex.pth of the package lpips "
    "(lpips/weights/v0.1) into one folder and name it by path"
)


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the arrays that are needed, by the names that torchvision and lpips give them."""
    found: dict[str, tuple[int, ...]] = {}
    for layer, own in enumerate(ALEXNET):
        found[f"features.{own.place}.weight"] = own.shape
        found[f"features.{own.place}.bias"] = own.shape[:1]
        found[f"lin{layer}.model.1.weight"] = (1, own.shape[0], 1, 1)
    return found


def read_weights(name: str, folder: Path) -> dict[str, "torch.Tensor"]:
    """Return the arrays in the .pth and .safetensors of a folder; ModelError where one is missing.

    Nothing but arrays is read of them.
    """
    import torch
    from safetensors.torch import load_file

    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            found |= load_file(path)
        elif path.suffix in (".pth", ".pt"):
            found |= torch.load(path, map_location="cpu", weights_only=True)
    lacking = [
        key
        for key, shape in shapes().items()
        if not isinstance(found.get(key), torch.Tensor) or tuple(found[key].shape) != shape
    ]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        shape = " x ".join(map(str, shapes()[lacking[0]]))
        raise ModelError(
            f"{name}: {folder} lacks {lacking[0]} ({shape}){more}", hint=WHERE_THEY_ARE
        )
    return {key: found[key].float() for key in shapes()}


def features_of(
    weights: Mapping[str, "torch.Tensor"], picture: "NDArray[np.uint8]"
) -> list["torch.Tensor"]:
    """Return what AlexNet makes of a picture (H, W, 3) behind each convolution, (1, C, h, w)."""
    import torch
    from torch.nn.functional import conv2d, max_pool2d, relu

    like = weights["features.0.weight"]
    shift, scale = (torch.tensor(v).to(like)[:, None, None] for v in (SHIFT, SCALE))
    values = torch.from_numpy(picture.copy()).to(like.device).permute(2, 0, 1).float() / 127.5 - 1
    values = ((values - shift) / scale)[None]
    found = []
    for own in ALEXNET:
        values = max_pool2d(values, 3, 2) if own.is_pooled else values
        kernel, bias = (weights[f"features.{own.place}.{what}"] for what in ("weight", "bias"))
        values = relu(conv2d(values, kernel, bias, own.stride, own.padding))
        found.append(values)
    return found


def distance(
    features: Sequence["torch.Tensor"],
    others: Sequence["torch.Tensor"],
    weights: Sequence["torch.Tensor"],
) -> "torch.Tensor":
    """Return (B,): steps 2 to 4 above of the features (B, C, h, w) and weights (C,) of each layer.

    Layers may be of any number and size.
    """
    layers = [
        ((_unit(one) - _unit(other)) ** 2 * weight[:, None, None]).sum(1).mean((1, 2))
        for one, other, weight in zip(features, others, weights, strict=True)
    ]
    total = layers[0]
    for layer in layers[1:]:
        total = total + layer
    return total


def _unit(values: "torch.Tensor") -> "torch.Tensor":
    return values / ((values**2).sum(1, keepdim=True).sqrt() + EPSILON)
