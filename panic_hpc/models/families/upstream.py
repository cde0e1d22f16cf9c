"""Upstream's models by name, all three of its eras, with what is known of each (upstream.toml)."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.types import ModelEntry, ModelSpec

NOT_BUILT = "its loader is not built yet"

_TIMINGS = {
    "measured": "measured by upstream on an RTX 6000 Ada",
    "estimated": "estimated for an H100 from operation counts",
    "guessed": "a rough guess",
}


class UpstreamSettings(BaseModel):
    """What upstream set for its models; None where a model has no such setting."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    batch_size: int = Field(1, ge=1, le=4096)
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    quantization: Literal["nf4"] | None = None
    steps: int | None = Field(None, ge=1, le=1000, description="denoising steps")
    guidance: float | None = Field(None, ge=0, le=100)
    size: int | None = Field(None, ge=16, le=8192, description="side of a picture in pixels")
    max_sequence_length: int | None = Field(None, ge=1, description="tokens of a prompt")
    prompt: str | None = Field(None, description="what a captioner is asked")
    system: str | None = Field(None, description="what a captioner is told it is")
    length: Literal["short", "normal", "long"] | None = None
    max_new_tokens: int | None = Field(None, ge=1, le=10**6)
    num_beams: int | None = Field(None, ge=1, le=64)
    dimension: int | None = Field(None, ge=1, le=65536, description="an embedding is cut to this")


def _entry(name: str, table: dict[str, Any]) -> ModelEntry:
    return ModelEntry(
        name,
        table["consumes"],
        table["produces"],
        table.get("repository", ""),
        table.get("revision", ""),
        table["settings"],
        table["seconds"],
        _TIMINGS[table["timing"]],
        unavailable=NOT_BUILT,
    )


def _entries() -> tuple[ModelEntry, ...]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tuple(_entry(name, table) for name, table in tomllib.loads(text).items())


class Upstream:
    """The family of names that can be planned with but not loaded."""

    name = "upstream"
    entries = _entries()
    settings = UpstreamSettings

    def build(self, spec: ModelSpec) -> Any:
        """Refuse: ModelError."""
        raise ModelError(f"{spec.name} cannot be loaded: {NOT_BUILT}", hint="panic-hpc models list")

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Refuse: ModelError, since this family is names and nothing else."""
        raise ModelError("The family upstream has no models but those it names")


PLUGINS = (Upstream(),)
