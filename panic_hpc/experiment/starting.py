"""Whether prompts have what networks begin with: texts, and pictures of the right roles."""

from collections.abc import Sequence

from panic_hpc.models.prompt_pictures import reads_prompt, roles_read, starting_role
from panic_hpc.types import IMAGE, TEXT, ModelSpec, Prompt

TEXTS = "prompts.csv"


def picture_problems(
    place: str, models: Sequence[ModelSpec | None], prompts: Sequence[Prompt]
) -> list[str]:
    """Return a line for each thing that a network's models read and its prompts do not have."""
    if not prompts:
        return []
    # Every prompt has the same roles: a folder in which they differ was refused.
    roles = [role for role, _ in prompts[0].pictures]
    problems = _first_problems(f"{place}[0]", models[0], roles)
    for position, model in enumerate(models):
        if model:
            problems += _role_problems(f"{place}[{position}] = {model.name!r}", model, roles)
    return problems or _text_problems(place, models, prompts)


def _first_problems(place: str, first: ModelSpec | None, roles: Sequence[str]) -> list[str]:
    if first is None or first.consumes == TEXT:
        return []
    told = f"{place} = {first.name!r}: takes {first.consumes}"
    if first.consumes != IMAGE or not roles:
        more = '; pictures come by inputs = "FOLDER"' if first.consumes == IMAGE else ""
        return [f"{told}, but a prompt is text{more}"]
    if not starting_role(roles):
        how = 'begin with a model that has image = "ROLE", or name one folder image'
        return [f"{told}, and prompts have pictures of {_listed(roles)}; {how}"]
    return []


def _role_problems(place: str, model: ModelSpec, roles: Sequence[str]) -> list[str]:
    there = f"has {_listed(roles)}" if roles else 'is missing: inputs = "FOLDER"'
    return [
        f'{place}: {setting} = "{role}": no such role; inputs {there}'
        for setting, role in roles_read(model).items()
        if role not in roles
    ]


def _text_problems(
    place: str, models: Sequence[ModelSpec | None], prompts: Sequence[Prompt]
) -> list[str]:
    silent = sum(not prompt.text for prompt in prompts)
    if not silent:
        return []
    # Behind the first model only those read the prompt's text that read pictures beside it.
    readers = [
        model
        for position, model in enumerate(models)
        if model and reads_prompt(model) and (position == 0 or model.consumes != TEXT)
    ]
    return [
        f"{place}: {model.name} reads the text of prompts, and {silent} of {len(prompts)} have "
        f"none; write {TEXTS} (name, text) beside the pictures"
        for model in readers[:1]
    ]


def _listed(roles: Sequence[str]) -> str:
    return " and ".join(roles)
