"""Trained weights into the package: half precision on disk, single precision when loaded."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from panic_hpc.models.folder_digest import folder_digest

PACKAGE = Path(__file__).parents[2] / "panic_hpc" / "models" / "microworld"
LEFT_OUT = {"README.md", ".gitattributes"}


def publish(weights: Path) -> None:
    """Copy each trained model that `models.toml` names into the package, its revision there."""
    table = PACKAGE / "models.toml"
    text = table.read_text()
    named = re.findall(r'^folder = "(.+)"$', text, flags=re.MULTILINE)
    for name in (name for name in named if (weights / name).is_dir()):
        copy(weights / name, PACKAGE / name)
        revision = f'revision = "{folder_digest(PACKAGE / name)}"'
        text = re.sub(rf'(?s)(\[{name}\].*?)revision = "[^"]*"', rf"\g<1>{revision}", text)
    table.write_text(text)


def copy(source: Path, target: Path) -> None:
    """Replace a model's folder in the package by a half-precision copy of the trained one."""
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.name in LEFT_OUT:
            continue
        written = target / path.relative_to(source)
        written.parent.mkdir(parents=True, exist_ok=True)
        halve(path, written) if path.suffix == ".safetensors" else shutil.copyfile(path, written)
        written.chmod(0o644)


def halve(source: Path, target: Path) -> None:
    """Write the tensors of a safetensors file as float16.

    The config beside it keeps saying float32, so the ordinary loaders widen them again.
    """
    tensors = {name: halved(tensor) for name, tensor in load_file(source).items()}
    save_file(tensors, target, metadata={"format": "pt"})


def halved(tensor: torch.Tensor) -> torch.Tensor:
    """Return floating-point values as float16, and anything else as it is."""
    return tensor.half().contiguous() if tensor.is_floating_point() else tensor
