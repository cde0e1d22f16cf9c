"""`panic-hpc doctor`: what is wrong with an experiment, or with the installation here."""

import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc import clock, exit_codes
from panic_hpc.cli.console.byte_bar import byte_bar
from panic_hpc.cli.console.options import Json, Yes
from panic_hpc.cli.console.output import out, say, say_json, warn
from panic_hpc.errors import PanicError
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from panic_hpc.health.inconsistencies import Inconsistency
    from panic_hpc.health.installation import InstallationFinding
    from panic_hpc.workspace.workspace import Workspace

PANEL = ("Experiments", 3)
NARROWEST = 40
_COLOURS = {"ok": "green", "absent": "yellow", "wrong": "red"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(
    experiment: Annotated[
        Path | None, typer.Argument(metavar="[EXP]", help="The experiment's directory.")
    ] = None,
    installation: Annotated[
        bool, typer.Option("--self", help="Look at the installation, not at an experiment.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Say whether workers find every model without a hub.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Move what is wrong to EXP/quarantine, after asking.")
    ] = False,
    sample: Annotated[
        str, typer.Option(metavar="PERCENT", help="Read this share of blocks and images: 5%.")
    ] = "",
    truncated: Annotated[
        float, typer.Option(min=0, max=1, help="Share of cut off texts that is worth a word.")
    ] = 0.5,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Find what is missing, extra, corrupt, foreign, stale or orphaned, and repair it with --fix.

    A repair deletes and renumbers nothing: it moves files aside, and `submit` computes them again.
    Exit code 0: nothing was found, or all of it was repaired; 1: something is wrong.
    """
    if installation:
        sys.exit(_installation(as_json))
    if experiment is None:
        raise PanicError("No experiment was named", hint="panic-hpc doctor EXP, or doctor --self")
    from panic_hpc.workspace.workspace import open_workspace

    workspace = open_workspace(experiment)
    if offline:
        sys.exit(_offline(workspace, as_json))
    found = _found(workspace, sample, truncated)
    if as_json:
        say_json([one.to_json() for one in found])
    else:
        _print(found, experiment)
    # The document is all that scripts read from standard output.
    left = _fix(workspace, found, yes, warn if as_json else say) if fix else found
    sys.exit(exit_codes.ERROR if left else exit_codes.OK)


def _found(workspace: "Workspace", sample: str, truncated: float) -> "list[Inconsistency]":
    from panic_hpc.health.inconsistencies import inspect
    from panic_hpc.store.checks.sampling import parse_sample

    with byte_bar(workspace.paths.root.name) as report:
        return list(inspect(workspace, parse_sample(sample, ""), truncated, clock.now(), report))


def _print(found: "list[Inconsistency]", experiment: Path) -> None:
    for one in found:
        say(f"{one.kind}: {one.path}", style="red")
        say(f"  {one.message}")
        say(f"  {one.hint}", style="dim")
    things = f"{counted(len(found), 'thing')} {'is' if len(found) == 1 else 'are'} wrong"
    say(f"{experiment}: {things if found else 'nothing is wrong'}")


def _fix(
    workspace: "Workspace",
    found: "list[Inconsistency]",
    yes: bool,
    tell: Callable[[str], None],
) -> "list[Inconsistency]":
    """Repair what can be repaired; return what is left."""
    from panic_hpc.health.inconsistencies import QUARANTINE
    from panic_hpc.health.repair import movable, quarantine

    files = movable(found)
    if files:
        tell(f"To be moved to {workspace.paths.root / QUARANTINE}:")
        for path in files:
            tell(f"  {path.relative_to(workspace.paths.root)}")
        if not yes:
            typer.confirm(f"Move {counted(len(files), 'file')}?", abort=True, err=True)
        tell(f"Moved to {quarantine(workspace, files)}")
        tell(f"Now: panic-hpc submit {workspace.paths.root}")
    return [one for one in found if not one.quarantine]


def _offline(workspace: "Workspace", as_json: bool) -> int:
    """Say which models are not here; the code of an error where one is not."""
    from panic_hpc.models.hub.cache import cache_directory, missing

    cache = cache_directory()
    absent = [spec.name for spec in missing(workspace.manifest.specs, cache)]
    if as_json:
        say_json({"cache": str(cache), "missing": absent})
    elif absent:
        say(f"Not in {cache}: {', '.join(absent)}", style="red")
        say(f"  panic-hpc models fetch {workspace.paths.root}", style="dim")
    else:
        say(f"Every model is here or in {cache}; workers run with the hub switched off")
    return exit_codes.ERROR if absent else exit_codes.OK


def _installation(as_json: bool) -> int:
    """Print what is installed; the code of an error where something is wrong."""
    from panic_hpc.health.installation import inspect_installation

    found = list(inspect_installation())
    if as_json:
        say_json([one.to_json() for one in found])
    else:
        _print_installation(found)
    return exit_codes.ERROR if any(one.state == "wrong" for one in found) else exit_codes.OK


def _print_installation(found: "Sequence[InstallationFinding]") -> None:
    """Print a line for each finding, the libraries that are as they should be in one paragraph."""
    fitting = [one for one in found if one.is_library and one.state == "ok"]
    for one in found:
        if one not in fitting:
            say(f"{one.state:<7} {one.name}: {one.found}".rstrip(": "), _COLOURS[one.state])
        elif one is fitting[0]:
            listed = ", ".join(f"{each.name} {each.found}" for each in fitting)
            say(_indented(f"ok      libraries: {listed}"), _COLOURS["ok"])
        if one.hint:
            say(f"        {one.hint}", style="dim")
    n_wrong = sum(one.state == "wrong" for one in found)
    say(
        f"{n_wrong} wrong" if n_wrong else "Nothing is wrong; what is absent is needed by some only"
    )


def _indented(text: str) -> str:
    width = max(NARROWEST, out.width)
    return textwrap.fill(text, width, subsequent_indent=" " * 8, break_on_hyphens=False)
