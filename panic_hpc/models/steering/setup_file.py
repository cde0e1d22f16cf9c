"""Setup files: strength by scale and layer, in the JSON of the system that steering comes from.

    {"scales": {"0": {"layers": [-1], "strength_cond": 3.0, "strength_uncond": 1.0}, …},
     "layers_text": [0, 1], "strength_text": 5.0}

A scale is a pass, [-1] every layer. That the object stands in a list, or ends in a comma, is how
these files are found; both are read.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ModelError
from panic_hpc.models.settings import CLOSED, first_problem, wrong
from panic_hpc.models.steering.settings import Strength

EVERY_LAYER = (-1,)
MAX_BYTES = 2**20


def _as_layers(value: Any) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and all(type(n) is int for n in value):
        layers = tuple(sorted(set(value)))
        if layers == EVERY_LAYER or all(0 <= n < 10_000 for n in layers):
            return layers
    raise wrong("numbers of layers were expected, or [-1] for all")


Layers = Annotated[tuple[int, ...], BeforeValidator(_as_layers)]


class Scale(BaseModel):
    """The strengths of one scale."""

    model_config = CLOSED

    layers: Layers
    strength_cond: Strength
    strength_uncond: Strength = 0.0


class Setup(BaseModel):
    """A setup file."""

    model_config = CLOSED

    scales: dict[Annotated[str, Field(pattern=r"^[0-9]{1,4}\z")], Scale]
    layers_text: Layers = ()
    strength_text: Strength = 0.0


def read_setup(content: bytes, where: str) -> Mapping[str, Any]:
    """Return a setup file's contents, checked and complete; ModelError says what is wrong."""
    try:
        value = parse_json(content.decode().strip().removesuffix(","))
        if isinstance(value, list) and len(value) == 1:
            [value] = value
        return Setup.model_validate(value).model_dump()
    except ValidationError as error:
        raise ModelError(f"{where} is no setup file: {first_problem(error)}") from None
    except ValueError as error:
        raise ModelError(f"{where} is no setup file ({error})") from None
