"""What is known of the pipelines' classes beyond their signatures (classes.toml)."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class PipelineClass(BaseModel):
    """A class of diffusers: why its batches are coupled ("" if not), what it needs installed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coupled: str = ""
    needs: tuple[str, ...] = ()


def pipeline_class(name: str) -> PipelineClass:
    """Return what is known of the class of that name, which is often nothing."""
    return known_classes().get(name, PipelineClass())


@cache
def known_classes() -> dict[str, PipelineClass]:
    """Return all that is known, by class."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return {name: PipelineClass.model_validate(row) for name, row in tomllib.loads(text).items()}


def prepare(pipeline: Any) -> None:
    """Mend what a pipeline does wrong by itself."""
    prior = getattr(pipeline, "vision_language_encoder", None)
    if type(pipeline).__name__ == "GlmImagePipeline" and prior is not None:
        # Its prior may draw tokens that its codebook does not have: an index out of range, which on
        # a GPU ends the process (0.06 % of upstream's pictures).
        codebook = prior.config.vq_config.num_embeddings
        beyond = range(codebook, prior.config.text_config.vision_vocab_size)
        prior.generation_config.suppress_tokens = list(beyond)
