"""Texts that were written elsewhere: a name in a network for whoever wrote them, never loaded."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.types import TEXT, Modality, ModelEntry, ModelSpec


class RecordedSettings(BaseModel):
    """What tells the authors of some texts from others: the file they came in, and a label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file")
    label: str = Field("", max_length=200, description="what the file says of them")
    batch_size: int = Field(1, ge=1, le=1)


class _Recorded:
    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def load(self, device: str) -> None:
        """Refuse: texts that were imported cannot be written again."""
        raise ModelError(
            f"{self.spec.name} wrote its texts elsewhere; a shard of them is missing",
            hint="Import them again, into the same directory: panic-hpc import chains FILE -o EXP",
        )


class RecordedFamily:
    """The family of models whose outputs are imported."""

    name = "recorded"
    entries: tuple[ModelEntry, ...] = ()
    settings = RecordedSettings
    has_weights = False

    def build(self, spec: ModelSpec) -> Any:
        """Return a model that refuses to be loaded."""
        return _Recorded(spec)

    def modalities(self, settings: BaseModel) -> tuple[Modality, Modality]:
        """Return text and text: each teller hears what the one before told."""
        return TEXT, TEXT


PLUGINS = (RecordedFamily(),)
