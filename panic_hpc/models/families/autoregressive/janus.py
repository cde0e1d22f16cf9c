"""Janus, which reads pictures and draws them: the side that draws, by repository or folder.

The side that reads is a captioner of the family `transformers`, of the same checkpoint.
"""

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.models.autoregressive.drawing import JanusModel, empty_janus
from panic_hpc.models.settings import settings_of
from panic_hpc.models.steering.outline import EmptyParts
from panic_hpc.models.steering.pushing import planned_problems
from panic_hpc.models.steering.settings import SteeringTable
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec


class JanusSettings(BaseModel):
    """What a model may be told; a picture's size is the checkpoint's.

    `passes` is how many ranges of a picture's tokens steering and capture tell apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    # Both as its makers draw, and the library.
    guidance: float = Field(5.0, ge=0, allow_inf_nan=False)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    max_sequence_length: int = Field(
        256, ge=1, le=8192, description="tokens of a prompt and the template around it"
    )
    passes: int = Field(8, ge=1, le=10_000, description="ranges of tokens")
    steering: SteeringTable = None


class Janus:
    """The family of Janus as it draws."""

    name = "janus"
    settings = JanusSettings
    entries: tuple[ModelEntry, ...] = ()
    # The length too: the cache of keys and values is as long as the longest call before, and
    # attention over more places has other bits.
    weight_settings = ("dtype", "max_sequence_length")

    def build(self, spec: ModelSpec) -> JanusModel:
        """Return the model that `spec` names, not loaded yet."""
        return JanusModel(spec, settings_of(spec, JanusSettings))

    def empty_parts(self, spec: ModelSpec) -> EmptyParts:
        """Return what a model of this family could be steered at."""
        return empty_janus(spec, settings_of(spec, JanusSettings).passes)

    def problems(self, spec: ModelSpec) -> list[str]:
        """Return what is wrong with its steering."""
        return planned_problems(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return text and image."""
        return TEXT, IMAGE


PLUGINS = (Janus(),)
