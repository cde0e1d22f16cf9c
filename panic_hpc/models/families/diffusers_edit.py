"""Pictures made of pictures: image→image and inpainting with any checkpoint of diffusers.

Without `image` a model reads the picture before it in its run, and the prompt's text each time;
with `image = ROLE` it reads texts, and the prompt's picture of that role each time.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, model_validator

from panic_hpc.models import builtin
from panic_hpc.models.families.diffusers import DiffusersSettings
from panic_hpc.models.pipelines.edit_model import EditModel
from panic_hpc.models.pipelines.parts import empty_parts
from panic_hpc.models.settings import settings_of, wrong
from panic_hpc.models.steering.outline import EmptyParts
from panic_hpc.models.steering.pushing import planned_problems
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec

Role = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}\z")]


class EditSettings(DiffusersSettings):
    """What a text→image pipeline may be told, and of which picture it makes another.

    `strength` is the share of the denoising steps that are made: 1 forgets the picture. Where
    `mask` (a role) is white, and only there, the picture is made anew. `instruction` is read
    in place of any text.
    """

    image: Role = ""
    mask: Role = ""
    strength: float | None = Field(None, gt=0, le=1)
    instruction: str | None = Field(None, max_length=65536)

    @model_validator(mode="after")
    def _has_a_size(self) -> "EditSettings":
        if self.height is None or self.width is None:
            raise wrong("height and width are missing: pictures are resized to them")
        return self


class DiffusersEdit:
    """The family of image→image pipelines."""

    name = "diffusers_edit"
    settings = EditSettings
    settings_decide = True
    entries = tuple(
        ModelEntry(
            "MicroEdit",
            IMAGE,
            IMAGE,
            revision=entry.revision,
            defaults={**entry.defaults, "strength": 0.5},
            seconds=entry.seconds,
            timing=entry.timing,
            tried=entry.tried,
            note="built in: the weights of MicroDiffusion",
        )
        for entry in builtin.entries("text_to_image", EditSettings.model_fields)
        if entry.name == "MicroDiffusion"
    )
    # Not `image` and `mask` as such, but whether there is a mask decides the class.
    weight_settings = ("dtype", "variant", "safety_checker", "compile", "mask")

    def build(self, spec: ModelSpec) -> EditModel:
        """Return the pipeline that `spec` names, not loaded yet."""
        return EditModel(spec, settings_of(spec, EditSettings))

    def empty_parts(self, spec: ModelSpec) -> EmptyParts:
        """Return what a pipeline of this family could be steered at."""
        return empty_parts(spec, find_weights(spec))

    def problems(self, spec: ModelSpec) -> list[str]:
        """Return what is wrong with its steering."""
        return planned_problems(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and image; text and image where the picture is the prompt's each time."""
        return (TEXT if getattr(settings, "image", "") else IMAGE), IMAGE

    def reads_prompt(self, settings: BaseModel) -> bool:
        """Say whether the prompt's text is read: where there is no instruction."""
        return getattr(settings, "instruction", None) is None

    def roles_read(self, settings: BaseModel) -> Mapping[str, str]:
        """Return the roles that settings name."""
        told = settings.model_dump(include={"image", "mask"})
        return {name: role for name, role in told.items() if role}


PLUGINS = (DiffusersEdit(),)
