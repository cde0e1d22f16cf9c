"""Loading checkpoints of transformers: safetensors only, no code of theirs, no weight missing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from panic_hpc.errors import ModelError
from panic_hpc.models.weights import Weights
from panic_hpc.types import ModelSpec


def load_complete(
    loader: Any,
    weights: Weights,
    spec: ModelSpec,
    dtype: Any,
    *,
    dtype_name: str = "dtype",
    unread: Sequence[str] = (),
    **more: Any,
) -> Any:
    """Return `loader.from_pretrained(…)`; ModelError where the checkpoint lacks weights.

    transformers would draw what is missing at random and log a line; weights whose names begin
    with one of `unread` may be missing, and are NaN then. diffusers has another `dtype_name`.
    """
    told = {
        # Always told: since transformers 5 a checkpoint stored in half precision loads as such.
        dtype_name: dtype,
        "use_safetensors": True,
        "output_loading_info": True,
    }
    model, report = loader.from_pretrained(weights.source, **told, **weights.options, **more)
    # Keys that the checkpoint has and the model lacks are no harm: heads of another task.
    missing = sorted(report["missing_keys"])
    require_complete(missing, unread, weights.source, type(model).__name__, spec)
    poison(model, missing)
    return model


def poison(model: Any, names: Sequence[str]) -> None:
    """Make weights NaN that should never be read: whatever reads them shows it."""
    import torch

    values = model.state_dict()
    with torch.no_grad():
        for name in names:
            values[name].fill_(math.nan)


def require_vocabulary(tokenizer: Any, what: str) -> None:
    """Raise ModelError where a tokenizer knows no letter.

    transformers makes an empty one where a checkpoint's tokenizer.json is absent: all texts of one
    length are then one text.
    """
    words = ("picture", "factory")
    first, second = (tokenizer(word, add_special_tokens=False)["input_ids"] for word in words)
    if first == second:
        raise ModelError(
            f"{what} has no vocabulary: its checkpoint lacks tokenizer.json, or the like",
            hint="Put the file back, or fetch the model again",
        )


class Processor:
    """Turns images and one prompt into a model's inputs, whatever parts the checkpoint has."""

    def __init__(self, whole: Any, image_processor: Any, tokenizer: Any) -> None:
        self.whole = whole
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    def __call__(self, images: Sequence[Any], prompt: str, system: str = "") -> Any:
        """Return the batch of features for images that are all asked the same."""
        # Older checkpoints (ViT-GPT2) have an image processor and a tokenizer, and nothing that
        # joins them.
        if self.whole is None:
            return self.image_processor(images, return_tensors="pt")
        if self.is_chat:
            return _chats(self.whole, images, prompt, system)
        if not prompt:
            return _images_only(self.whole, images)
        return self.whole(images=list(images), text=[prompt] * len(images), return_tensors="pt")

    @property
    def is_chat(self) -> bool:
        """Whether the model is asked in turns of a chat, and so has to be asked something."""
        return bool(getattr(self.whole, "chat_template", None))


def _chats(processor: Any, images: Sequence[Any], prompt: str, system: str) -> Any:
    """Return a chat of one question for each image; the template adds the special tokens."""
    told = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    question = {"type": "text", "text": prompt}
    chats = [
        [*told, {"role": "user", "content": [{"type": "image", "image": image}, question]}]
        for image in images
    ]
    return processor.apply_chat_template(
        chats, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def _images_only(processor: Any, images: Sequence[Any]) -> Any:
    features = processor(images=list(images), return_tensors="pt")
    # Processors tokenize an empty text where none is given; generate would take it for a prompt.
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        features.pop(name, None)
    return features


def load_processor(weights: Weights, **arguments: Any) -> Processor:
    """Return the checkpoint's processor, or its image processor and tokenizer where it has none.

    `arguments` are attributes of its image processor; ModelError where that has no such one.
    """
    from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

    whole = AutoProcessor.from_pretrained(weights.source, **weights.options, **arguments)
    _require_taken(getattr(whole, "image_processor", whole), arguments)
    # AutoProcessor gives a bare tokenizer or image processor where a checkpoint has no processor
    # class.
    if hasattr(whole, "image_processor") and hasattr(whole, "tokenizer"):
        return Processor(whole, whole.image_processor, whole.tokenizer)
    image_processor = AutoImageProcessor.from_pretrained(
        weights.source, **weights.options, **arguments
    )
    tokenizer = AutoTokenizer.from_pretrained(weights.source, **weights.options)
    return Processor(None, image_processor, tokenizer)


def _require_taken(image_processor: Any, arguments: Mapping[str, Any]) -> None:
    # from_pretrained passes over what it does not know.
    ignored = [k for k, value in arguments.items() if getattr(image_processor, k, None) != value]
    if ignored:
        kind = type(image_processor).__name__
        raise ModelError(f"processor.{ignored[0]} does nothing: {kind} has no such argument")


def missing_weights(loader: Any, weights: Weights) -> list[str]:
    """Return the names of weights that a checkpoint lacks; reads no tensor of it."""
    _, report = loader.from_pretrained(
        weights.source,
        device_map="meta",
        use_safetensors=True,
        output_loading_info=True,
        **weights.options,
    )
    return sorted(report["missing_keys"])


def require_complete(
    names: Sequence[str], unread: Sequence[str], source: str, kind: str, spec: ModelSpec
) -> None:
    """Raise ModelError where weights are missing whose names begin with none of `unread`."""
    if needed := [name for name in names if not name.startswith(tuple(unread))]:
        raise ModelError(
            f"{source} lacks {len(needed)} weights of a {kind}, {needed[0]} first, so "
            f"{spec.name} cannot be loaded",
            hint="Is it a checkpoint of another kind of model?",
        )
