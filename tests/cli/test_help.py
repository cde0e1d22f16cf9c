"""What a newcomer sees first: every verb, by what it is for, the main job before all."""

import pytest
import typer
from typer.testing import CliRunner

from panic_hpc import cli
from panic_hpc.cli.panels import PANELS


@pytest.fixture
def app() -> typer.Typer:
    """A fresh application with every verb of the package."""
    fresh = typer.Typer(name="panic-hpc")
    fresh.callback()(cli._global_options)
    cli.register_verbs(fresh)
    return fresh


def test_help_shows_every_verb_in_a_panel_and_the_main_job_first(app: typer.Typer) -> None:
    command = typer.main.get_group(app)
    verbs = [verb for panel in PANELS.values() for verb in panel]
    assert sorted(command.commands) == sorted(verbs)
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    places = [shown.index(f"│ {verb} ") for verb in PANELS["The main job"]]
    assert places == sorted(places)
    assert places[-1] < shown.index("│ logs ") < shown.index("│ clusters ")


def test_the_version_is_told(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output.split()[0]) == (0, "panic-hpc")
