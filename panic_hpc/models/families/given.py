"""`Given`: the identity. Its output is the picture that it reads, or the prompt's of a role.

As a network of its own it makes pictures of people runs like any other, a set that others are
compared with; at the head of a network it puts the prompt's picture at step 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.models.base import Output, Turn
from panic_hpc.models.families.diffusers_edit import Role
from panic_hpc.models.settings import settings_of
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec


class GivenSettings(BaseModel):
    """Which of the prompt's pictures is given; "" for the one before in the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(1, ge=1, le=4096)
    image: Role = ""


class GivenModel:
    """Gives a picture as it is."""

    wants_turn = True

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._role = settings_of(spec, GivenSettings).image

    def load(self, device: str) -> None:
        """Nothing to load."""

    def generate(
        self, inputs: Sequence[Any], seeds: Sequence[int], turns: Sequence[Turn] | None = None
    ) -> list[Output]:
        """Return the pictures."""
        if not self._role:
            return [Output(value.copy()) for value in inputs]
        pictures = [turn.pictures.get(self._role) for turn in turns or ()] or [None] * len(inputs)
        return [
            Output(picture, problem="" if picture is not None else f"no picture {self._role}")
            for picture in pictures
        ]


class Given:
    """The family of the identity."""

    name = "given"
    settings = GivenSettings
    settings_decide = True
    has_weights = False
    entries = (
        ModelEntry("Given", IMAGE, IMAGE, seconds=1e-4, note="gives the picture that it reads"),
    )

    def build(self, spec: ModelSpec) -> GivenModel:
        """Return the model."""
        return GivenModel(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return image and image; text and image where a role of the prompt is named."""
        return (TEXT if getattr(settings, "image", "") else IMAGE), IMAGE

    def reads_prompt(self, settings: BaseModel) -> bool:
        """Say that no text is read."""
        return False

    def roles_read(self, settings: BaseModel) -> Mapping[str, str]:
        """Return the roles that settings name."""
        told = settings.model_dump(include={"image"})
        return {name: role for name, role in told.items() if role}


PLUGINS = (Given(),)
