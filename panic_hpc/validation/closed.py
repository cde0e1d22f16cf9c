"""The base of every table that a person writes: strict, closed, frozen."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """Refuses unknown keys, does not convert (no "100" for 100), does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
