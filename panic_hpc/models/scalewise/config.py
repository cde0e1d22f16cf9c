"""What a scale-wise model consists of: the sizes in its `config.json`."""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from panic_hpc.errors import ModelError
from panic_hpc.models.settings import first_problem, wrong

CONFIG = "config.json"
KIND: Literal["ScalewiseTransformer"] = "ScalewiseTransformer"


Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]


class ScalewiseConfig(BaseModel):
    """Sizes: a picture is `scales[-1]` x `scales[-1]` patches of `patch` x `patch` pixels.

    Backgrounds and colours are red, green and blue from 0 to 255.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_class: Literal["ScalewiseTransformer"] = KIND
    scales: tuple[int, ...] = Field(min_length=1, max_length=32)
    patch: int = Field(ge=1, le=64)
    backgrounds: tuple[Colour, ...] = Field(min_length=1, max_length=256)
    colours: tuple[Colour, ...] = Field(min_length=1, max_length=256)
    width: int = Field(ge=1, le=16384)
    heads: int = Field(ge=1, le=256)
    layers: int = Field(ge=1, le=256)
    text_width: int = Field(ge=1, le=16384)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads:
            raise wrong(f"width: {self.width} is not divisible by {self.heads} heads")
        if list(self.scales) != sorted(set(self.scales)) or self.scales[0] < 1:
            raise wrong("scales: they must grow, and none is below 1")
        return self

    @property
    def bit_groups(self) -> tuple[int, int, int]:
        """The bits of a patch: of its pixels, its background and its colour."""
        background, colour = (max(1, (len(n) - 1).bit_length()) for n in self._palettes)
        return self.patch**2, background, colour

    @property
    def _palettes(self) -> tuple[tuple[Colour, ...], ...]:
        return self.backgrounds, self.colours

    @property
    def bits(self) -> int:
        """The bits of a patch together."""
        return sum(self.bit_groups)

    @property
    def side(self) -> int:
        """The side of a picture in pixels."""
        return self.scales[-1] * self.patch

    @property
    def n_tokens(self) -> int:
        """The tokens of all scales."""
        return sum(side**2 for side in self.scales)


def read_config(folder: Path, model: str) -> ScalewiseConfig:
    """Return the sizes of a checkpoint; ModelError where its folder tells none."""
    path = folder / CONFIG
    try:
        return ScalewiseConfig.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ModelError(f"{model}: {CONFIG}: {first_problem(error)}") from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model}: {path} is no configuration of a scale-wise model ({error})",
            hint="The folder of a scale-wise model holds config.json, model.safetensors, "
            "text_encoder and tokenizer",
        ) from None
