"""Any text→image pipeline of diffusers, by repository and revision or by folder."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from panic_hpc.models import builtin
from panic_hpc.models.pipelines.diffusers_model import DiffusersModel
from panic_hpc.models.pipelines.parts import empty_parts
from panic_hpc.models.settings import AddedLater, settings_of, wrong
from panic_hpc.models.steering.outline import EmptyParts
from panic_hpc.models.steering.pushing import planned_problems
from panic_hpc.models.steering.settings import SteeringTable
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, ModelSpec

Argument = bool | int | float | str | list[int] | list[float] | list[str]


class DiffusersSettings(BaseModel):
    """What a pipeline may be told; what is left out is the pipeline's own default.

    `arguments` are further ones of the pipeline's call, by its own names. Without the
    `safety_checker` no picture is blackened; true means whatever the checkpoint has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # 1: large diffusion transformers gain 6 to 8 % from batches of 16, small ones several times as
    # much; who knows the model sets it.
    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "float32"
    steps: int | None = Field(None, ge=1, le=1000, description="denoising steps")
    guidance: float | None = Field(None, ge=0, allow_inf_nan=False)
    height: int | None = Field(None, ge=8, le=8192)
    width: int | None = Field(None, ge=8, le=8192)
    negative_prompt: str | None = None
    max_sequence_length: int | None = Field(None, ge=1, le=8192, description="tokens of a prompt")
    variant: str | None = Field(None, description="of the weight files, such as fp16")
    true_cfg: Annotated[
        float | None,
        AddedLater(None),
        Field(ge=0, allow_inf_nan=False, description="guidance by a negative prompt"),
    ] = None
    safety_checker: Annotated[bool, AddedLater(True)] = True
    # Denoiser and VAE compiled on a GPU: 1.3 times as fast, and other kernels, so other bits.
    compile: Annotated[bool, AddedLater(False)] = False
    arguments: Annotated[dict[str, Argument], AddedLater({})] = Field(default_factory=dict)
    steering: SteeringTable = None

    @model_validator(mode="after")
    def _is_not_compiled(self) -> Self:
        if self.steering and self.compile:
            raise wrong("steering and compile: compiled layers cannot be steered; give one of them")
        return self


class Diffusers:
    """The family of text→image pipelines."""

    name = "diffusers"
    settings = DiffusersSettings
    entries = builtin.entries("text_to_image", DiffusersSettings.model_fields)
    weight_settings = ("dtype", "variant", "safety_checker", "compile")

    def build(self, spec: ModelSpec) -> DiffusersModel:
        """Return the pipeline that `spec` names, not loaded yet."""
        return DiffusersModel(spec, settings_of(spec, DiffusersSettings))

    def empty_parts(self, spec: ModelSpec) -> EmptyParts:
        """Return what a pipeline of this family could be steered at."""
        return empty_parts(spec, find_weights(spec))

    def problems(self, spec: ModelSpec) -> list[str]:
        """Return what is wrong with its steering."""
        return planned_problems(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return text and image."""
        return TEXT, IMAGE


PLUGINS = (Diffusers(),)
