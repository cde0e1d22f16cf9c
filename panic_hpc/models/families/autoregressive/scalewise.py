"""Scale-wise picture transformers of our own, with Infinity's parts: built in, or a folder."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from panic_hpc.models import builtin
from panic_hpc.models.scalewise.model import WIRING, ScalewiseModel
from panic_hpc.models.settings import AddedLater, settings_of, wrong
from panic_hpc.models.steering.outline import EmptyParts
from panic_hpc.models.steering.pushing import planned_problems
from panic_hpc.models.steering.settings import SteeringTable
from panic_hpc.models.steering.taps import modules_of
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, ModelSpec


class ScalewiseSettings(BaseModel):
    """What a scale-wise model may be told; it is guided where `guidance` is not 1.

    Logits are divided by the `temperature`; at 0 each bit is the likelier one, and seeds decide
    nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(8, ge=1, le=1024)
    dtype: Dtype = "float32"
    guidance: float = Field(1.0, ge=0, allow_inf_nan=False)
    negative_prompt: str | None = None
    temperature: float = Field(1.0, ge=0, le=100, allow_inf_nan=False)
    steering: Annotated[SteeringTable, AddedLater(None)] = None

    @property
    def is_guided(self) -> bool:
        """Whether a call has an unconditional half."""
        return self.guidance != 1

    @model_validator(mode="after")
    def _is_heard(self) -> Self:
        if self.negative_prompt is not None and not self.is_guided:
            raise wrong("negative_prompt: it has no effect while guidance is 1")
        return self


class Scalewise:
    """The family of scale-wise transformers."""

    name = "scalewise"
    settings = ScalewiseSettings
    entries = builtin.entries("scalewise", ScalewiseSettings.model_fields)
    weight_settings = ("dtype",)

    def build(self, spec: ModelSpec) -> ScalewiseModel:
        """Return the model that `spec` names, not loaded yet."""
        return ScalewiseModel(spec, settings_of(spec, ScalewiseSettings))

    def empty_parts(self, spec: ModelSpec) -> EmptyParts:
        """Return what a model of this family could be steered at."""
        from panic_hpc.models.scalewise.checkpoint import empty_modules

        modules = empty_modules(Path(find_weights(spec).source), spec.name)
        n_scales = len(modules["transformer"].scales)
        return EmptyParts("ScalewiseTransformer", WIRING, modules_of(modules), n_scales)

    def problems(self, spec: ModelSpec) -> list[str]:
        """Return what is wrong with its steering."""
        return planned_problems(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return text and image."""
        return TEXT, IMAGE


PLUGINS = (Scalewise(),)
