"""Which of a prompt's pictures and texts a network reads."""

from collections.abc import Collection, Sequence

from panic_hpc import installed
from panic_hpc.models.base import family_of
from panic_hpc.models.settings import settings_of
from panic_hpc.types import IMAGE, TEXT, ModelSpec

SOLE_ROLE = "image"
"""The role of pictures that have no role of their own, and the one that a run starts from."""


def roles_read(spec: ModelSpec) -> dict[str, str]:
    """Return {setting: role} of the pictures that a model reads each time."""
    family = family_of(installed.plugins("families"), spec)
    ask = getattr(family, "roles_read", None)
    if ask is None or family is None:
        return {}
    return dict(ask(settings_of(spec, family.settings)))


def starting_role(roles: Collection[str]) -> str:
    """Return the role of the picture that a run starts from: the only one, or "image"; else ""."""
    if len(roles) == 1:
        return next(iter(roles))
    return SOLE_ROLE if SOLE_ROLE in roles else ""


def starts_from_picture(models: Sequence[ModelSpec]) -> bool:
    """Say whether a network's first model reads a picture."""
    return models[0].consumes == IMAGE


def reads_prompt(spec: ModelSpec) -> bool:
    """Say whether a model at the head of a network reads the prompt's text."""
    family = family_of(installed.plugins("families"), spec)
    ask = getattr(family, "reads_prompt", None)
    if ask is None or family is None:
        return spec.consumes == TEXT
    return bool(ask(settings_of(spec, family.settings)))
