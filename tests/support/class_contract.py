"""What a model of any class must hold, asked of a tiny checkpoint of the class."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments import Planned, planned
from PIL import Image
from tiny_checkpoints.classes import SIDE, TinyClass

from panic_hpc import installed
from panic_hpc.experiment.inputs import read_inputs
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.pipelines.classes import pipeline_class
from panic_hpc.models.prompt_pictures import roles_read
from panic_hpc.models.settings import identity_of
from panic_hpc.types import EMBEDDING, IMAGE, TEXT, ModelSpec

MARKS = [
    pytest.mark.compute,
    # The libraries' own words about numpy, torch and each other.
    *(
        pytest.mark.filterwarnings(f"ignore::{kind}:(diffusers|transformers|torch|timm)")
        for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
    ),
]
SHORT, LONG = "a red fox", "boat " * 900
TEXTS = (SHORT, LONG, "", 'a sign that says "open"', "ünïcode ☃ on the grey")


def spec_of(tiny: TinyClass, folder: Path, **changes: Any) -> ModelSpec:
    """Return a model with the checkpoint in `folder`, two items a batch where its class can."""
    settings = {"batch_size": 1 if is_coupled(folder) else 2, **tiny.settings, **changes}
    family = installed.plugins("families")[tiny.family]
    filled = family.settings.model_validate(settings)
    values = identity_of(filled)
    size = values.pop("batch_size")
    consumes, produces = family.modalities(filled)
    digest = folder_digest(folder)
    return ModelSpec(
        tiny.name, tiny.family, consumes, produces, "", digest, str(folder), size, values
    )


def is_coupled(folder: Path) -> bool:
    """Say whether the pipeline in `folder` is one that works alone."""
    return bool(pipeline_class(class_of(folder)).coupled)


def class_of(folder: Path) -> str:
    """Return the class of the pipeline in `folder`, "" of what is none."""
    return str(json_of(folder / "model_index.json").get("_class_name", ""))


def json_of(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, {} without one."""
    import json

    return dict(json.loads(path.read_text())) if path.exists() else {}


def copied(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Return the model with a copy of its checkpoint, to be spoilt."""
    shutil.copytree(spec.path, folder)
    return replace(spec, path=str(folder))


def redigested(spec: ModelSpec) -> ModelSpec:
    """Return the model as planned with what is in its folder now."""
    return replace(spec, revision=folder_digest(Path(spec.path)))


def inputs_of(modality: str) -> list[Any]:
    """Return five items, some of them hard."""
    if modality == TEXT:
        return list(TEXTS)
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)
    return [noise[0], np.zeros_like(noise[0]), noise[1], np.full_like(noise[0], 255), noise[2]]


def answers(model: Any, items: Mapping[int, Any], seeds: Mapping[int, int]) -> list[Any]:
    """Return what a model gives for items by slot, each as a value that can be compared."""
    slots = range(model.spec.batch_size)
    values = [items[slot] for slot in slots]
    if model.spec.produces == EMBEDDING:
        vectors, truncated = model.embed(values)
        return [(vectors[slot].tobytes(), bool(truncated[slot])) for slot in slots]
    outputs = model.generate(values, [seeds[slot] for slot in slots])
    return [_comparable(output) for output in outputs]


def _comparable(output: Any) -> tuple[Any, ...]:
    value = output.value.tobytes() if hasattr(output.value, "tobytes") else output.value
    counts = (output.input_tokens, output.output_tokens)
    return (value, *counts, output.input_truncated, output.output_truncated, output.problem)


def tensors_of(spec: ModelSpec, folder: Path) -> list[tuple[Path, str]]:
    """Return (file, tensor) of a weight in each file of a checkpoint: one that is read early."""
    from safetensors import safe_open

    found = []
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, "pt") as file:
            # Norms stand in every model, and no other weight is tied to one.
            names = [name for name in file.keys() if "norm" in name.lower()]  # noqa: SIM118
            found.append((path, sorted(names or file.keys())[0]))
    return found


def without(path: Path, tensor: str) -> None:
    """Take a tensor out of a file."""
    from safetensors.torch import load_file, save_file

    kept = {name: value for name, value in load_file(path).items() if name != tensor}
    save_file(kept, path, metadata={"format": "pt"})


def experiment_with(tiny: TinyClass, spec: ModelSpec, root: Path) -> Planned:
    """Plan an experiment of two runs that goes through a model, in its place of a network."""
    table = {"family": tiny.family, "path": spec.path, "batch_size": spec.batch_size}
    network = {
        (TEXT, IMAGE): ["X", "DummyI2T"],
        (IMAGE, TEXT): ["DummyT2I", "X"],
        (IMAGE, IMAGE): ["DummyT2I", "X", "DummyI2T"],
    }.get((spec.consumes, spec.produces), ["DummyT2I", "DummyI2T"])
    drawn = {"DummyT2I": {"size": SIDE}} if "DummyT2I" in network else {}
    return planned(
        root,
        networks=[network],
        embedding_models=["X" if spec.produces == EMBEDDING else "DummyText"],
        models={"X": {**table, **tiny.settings}} | drawn,
        **_prompts(spec, root),
        seeds=[1],
        max_length=4,
        noise="per_step",
    )


def _prompts(spec: ModelSpec, root: Path) -> dict[str, Any]:
    """Return two prompts, with the pictures that the model reads of them."""
    texts = ["a red fox", "a boat"]
    if not (roles := roles_read(spec).values()):
        return {"prompts": texts}
    folder = root.with_name(f"{root.name}-inputs")
    pictures = iter(inputs_of(IMAGE))
    for role in roles:
        (folder / role).mkdir(parents=True)
        for name in texts:
            Image.fromarray(next(pictures)).save(folder / role / f"{name}.png")
    (folder / "prompts.csv").write_text("name,text\n" + "".join(f"{n},{n}\n" for n in texts))
    return {"prompts": read_inputs(folder), "inputs": str(folder)}
