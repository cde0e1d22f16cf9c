"""What every metric may be told: how many items a call has, and what outputs are judged against."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

NOTHING = "none"
INPUT = "input"
PREVIOUS = "previous"
FIRST = "first"
PROMPT = "prompt"
ROLE = "role:"
"""Before the name of a picture that belongs to the prompt."""

Against = Annotated[
    str,
    StringConstraints(pattern=r"^(none|input|previous|first|prompt|role:[A-Za-z0-9_-]{1,64})\z"),
]
"""What an output is judged against: `none`; `input`, what the model made it of; `previous` or
`first`, the one before or the first of its kind in the run; `prompt`; `role:NAME`, a picture that
belongs to the prompt.
"""

# Files have lists, and the settings are strict.
Words = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


class MetricSettings(BaseModel):
    """The settings that all metrics have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    # One: batches are filled up within a run, and formulas gain nothing by company.
    batch_size: int = Field(1, ge=1, le=4096)
    against: Against = NOTHING
