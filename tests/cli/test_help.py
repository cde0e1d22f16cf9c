"""What a newcomer sees first: every verb, by what it is for, the main job before all."""

import errno
import io
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from panic_hpc import cli
from panic_hpc.cli.console import output


@pytest.fixture
def app() -> typer.Typer:
    """A fresh application with every verb of the package."""
    fresh = typer.Typer(name="panic-hpc", cls=cli.VerbsByPanel)
    fresh.callback()(cli._global_options)
    cli.register_verbs(fresh)
    return fresh


MAIN_JOB = ("demo", "plan", "submit", "status", "merge")


def test_help_shows_every_verb_in_a_panel_and_the_main_job_first(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    command = typer.main.get_group(app)
    assert all(f"│ {verb} " in shown for verb in command.commands)
    panels = [shown.index(f"─ {panel} ─") for panel in cli.PANELS]
    assert panels == sorted(panels)
    assert "─ Other ─" not in shown, "a verb of ours has no PANEL"
    places = [shown.index(f"│ {verb} ") for verb in MAIN_JOB]
    assert places == sorted(places)
    assert places[-1] < panels[1]


def test_the_version_is_told(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output.split()[0]) == (0, "panic-hpc")


def test_long_names_end_their_lines_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["Steered.steering-strength-2.0.text-strength-2.0", "x" * 30, "\x1b[2J", "Short"]
    printed = Console(width=60, record=True, file=io.StringIO())
    monkeypatch.setattr(output, "out", printed)
    table = output.columns("network", "mean", "interval", left=("network",))
    rows = [(name, "-0.125", "-0.250 to +0.500 or thereabouts!") for name in names]
    output.add_named_rows(table, rows, names=0)
    printed.print(table, soft_wrap=False)
    told = [line[:16].strip() for line in printed.export_text().splitlines()[1:]]
    assert told == [
        "Steered.", "steering-", "strength-2.0.", "text-strength-", "2.0",
        "x" * 16, "x" * 14, "\\x1b[2J", "Short",
    ]  # fmt: skip


def test_what_no_name_of_a_file_stands_in_says_what_it_may_be_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "what is printed cannot be written (No space left" in cli._told(full)
    named = OSError(errno.ENOSPC, "No space left on device", "E/x")
    assert "E/x" in cli._told(named)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "is gone: cd to one that is there" in cli._told(FileNotFoundError(errno.ENOENT, "No"))
