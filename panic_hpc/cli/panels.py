"""The order in which help shows the verbs: what they are for, the main job first."""

import typer
from typer.models import CommandInfo, TyperInfo

PANELS = {
    "The main job": ("demo", "plan", "submit", "status", "merge"),
    "While it runs": ("logs", "stop", "cancel", "retry"),
    "Experiments": ("list", "show", "delete"),
    "The dataset": ("verify", "import", "export"),
    "What there is to run on and with": ("clusters", "models"),
    "For batch scripts": ("worker",),
}


def arrange(app: typer.Typer) -> None:
    """Give every command its panel and place; one that no panel names is shown before all."""
    panel_of = {verb: panel for panel, verbs in PANELS.items() for verb in verbs}
    place_of = {verb: place for place, verb in enumerate(panel_of)}
    commands: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for one in commands:
        if _verb(one) in panel_of:
            one.rich_help_panel = panel_of[_verb(one)]
    app.registered_commands.sort(key=lambda one: place_of.get(_verb(one), -1))
    app.registered_groups.sort(key=lambda one: place_of.get(_verb(one), -1))


def _verb(one: CommandInfo | TyperInfo) -> str:
    return str(one.name or getattr(one.callback, "__name__", ""))
