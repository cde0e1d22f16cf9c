"""A diffusers pipeline from its folder: every part complete, every tokenizer with a vocabulary."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from panic_hpc.errors import ModelError
from panic_hpc.models.steering.locations import wiring_of
from panic_hpc.models.steering.outline import EmptyParts
from panic_hpc.models.steering.taps import modules_of
from panic_hpc.models.transformers_checkpoint import load_complete, require_vocabulary
from panic_hpc.models.weights import Weights
from panic_hpc.types import ModelSpec


class PipelineFolder(NamedTuple):
    """A pipeline on disk: where, its class, and the (library, class) of each part by name."""

    path: Path
    kind: type[Any]
    parts: Mapping[str, tuple[str, str]]


def open_folder(spec: ModelSpec, weights: Weights) -> PipelineFolder:
    """Return what a pipeline consists of; nothing is loaded yet.

    Raises ModelError where it is no text→image pipeline of the diffusers that is installed.
    """
    import diffusers

    path = Path(weights.source)
    config = diffusers.DiffusionPipeline.load_config(path)
    kind = getattr(diffusers, str(config["_class_name"]), None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.DiffusionPipeline)):
        raise ModelError(
            f"{spec.name} is a {config['_class_name']}, which diffusers "
            f"{diffusers.__version__} does not have"
        )
    _require_text_to_image(spec, kind)
    return PipelineFolder(path, kind, dict(_parts(config)))


def _require_text_to_image(spec: ModelSpec, kind: type[Any]) -> None:
    accepted = inspect.signature(kind.__call__).parameters
    image = accepted.get("image")
    if "prompt" not in accepted or (image and image.default is inspect.Parameter.empty):
        raise ModelError(f"{spec.name} is a {kind.__name__}, which is no text→image pipeline")


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, value in config.items():
        # Other entries are settings; a part that is absent is [null, null].
        if isinstance(value, list | tuple) and len(value) == 2 and value[0] and value[1]:
            yield name, (str(value[0]), str(value[1]))


def load_pipeline(
    spec: ModelSpec, folder: PipelineFolder, dtype: Any, variant: str | None, **given: Any
) -> Any:
    """Return the pipeline on the CPU; `given` are parts that are not loaded from its folder.

    Raises ModelError where a part lacks weights or a tokenizer its vocabulary: diffusers leaves
    what is missing in a text encoder to chance.
    """
    import diffusers

    wanted = {name: part for name, part in folder.parts.items() if name not in given}
    loaded = {
        name: _load_part(spec, folder.path / name, found, dtype, variant)
        for name, part in wanted.items()
        if (found := part_class(spec, *part)) is not None
    }
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        folder.path,
        dtype=dtype,
        # A pickle (.bin, .ckpt) runs code when it is loaded.
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **loaded,
        **given,
    )
    for name, tokenizer in tokenizers_of(pipeline).items():
        require_vocabulary(tokenizer, f"the {name} of {spec.name}")
    return pipeline


def part_class(spec: ModelSpec, library: str, name: str) -> Any:
    """Return the class of a part that has weights, None of others (schedulers, tokenizers)."""
    import diffusers
    from transformers import PreTrainedModel

    # A library of another name is a folder of diffusers' pipelines.
    known = library in ("diffusers", "transformers")
    module = importlib.import_module(library if known else f"diffusers.pipelines.{library}")
    found = getattr(module, name, None)
    if found is None:
        raise ModelError(f"{spec.name} has a {name}, which {module.__name__} does not have")
    is_model = isinstance(found, type) and issubclass(found, diffusers.ModelMixin | PreTrainedModel)
    return found if is_model else None


def _load_part(spec: ModelSpec, path: Path, kind: Any, dtype: Any, variant: str | None) -> Any:
    import diffusers

    # Of most repositories only some parts have files of a variant.
    has_variant = variant and any(f".{variant}" in file.name for file in path.glob("*.safetensors"))
    more: dict[str, Any] = {"variant": variant} if has_variant else {}
    is_diffusers = issubclass(kind, diffusers.ModelMixin)
    return load_complete(
        kind,
        Weights(str(path), {"local_files_only": True}),
        spec,
        dtype,
        dtype_name="torch_dtype" if is_diffusers else "dtype",
        **more,
    )


def tokenizers_of(pipeline: Any) -> dict[str, Any]:
    """Return the tokenizers among a pipeline's parts, by the part's name."""
    from transformers import PreTrainedTokenizerBase

    # FLUX.2's and Kandinsky's "tokenizer" is a processor that has one.
    parts = {name: getattr(part, "tokenizer", part) for name, part in pipeline.components.items()}
    return {n: part for n, part in parts.items() if isinstance(part, PreTrainedTokenizerBase)}


def unchecked(name: str, kind: type[Any]) -> dict[str, Any]:
    """Return what a pipeline is loaded with to have no safety checker; ModelError without one."""
    if "safety_checker" not in inspect.signature(kind.__init__).parameters:
        raise ModelError(
            f"{name} is a {kind.__name__}, which has no safety checker",
            hint=f"Remove safety_checker from [models.{name}]",
        )
    return {"safety_checker": None, "requires_safety_checker": False}


def empty_parts(spec: ModelSpec, weights: Weights) -> EmptyParts:
    """Return what steering may know of a pipeline; no weight of it is read.

    Raises ModelError for a class that the table of steering does not have.
    """
    folder = open_folder(spec, weights)
    wiring = wiring_of(folder.kind.__name__, spec.name)
    parts = {
        name: _empty(folder.path / name, part_class(spec, *folder.parts[name]))
        for name in wiring.parts
        if name in folder.parts
    }
    steps = spec.settings.get("steps")
    return EmptyParts(folder.kind.__name__, wiring, modules_of(parts), steps and int(steps))


def _empty(path: Path, kind: Any) -> Any:
    """Return a part of a pipeline without weights."""
    import torch
    from diffusers import ModelMixin
    from transformers import AutoConfig

    with torch.device("meta"):
        if issubclass(kind, ModelMixin):
            return kind.from_config(kind.load_config(path))
        return kind(AutoConfig.from_pretrained(path, local_files_only=True))
