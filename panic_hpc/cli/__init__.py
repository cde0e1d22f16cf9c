"""The command line: one verb a file, each with `register(app)`; parses, calls, prints."""

import errno
import io
import os
import sys
import traceback
from collections.abc import MutableMapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo, TyperInfo

from panic_hpc import exit_codes, installed
from panic_hpc.errors import Interrupted, PanicError
from panic_hpc.extras import missing_library
from panic_hpc.plain_text import one_line
from panic_hpc.versions import own_version

_places: dict[str, tuple[int, int]] = {}


class VerbsByPanel(TyperGroup):
    """Lists verbs panel by panel; typer alone puts those with verbs of their own last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order that help shows them in."""
        return sorted(self.commands, key=lambda verb: _places.get(verb, (len(PANELS), 0)))


app = typer.Typer(
    name="panic-hpc",
    cls=VerbsByPanel,
    help="PANIC-TDA experiments at the scale of a cluster.",
    no_args_is_help=True,
    # Rich's tracebacks print lines of source, and whatever secret stands in them.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_verbose = False
NARROWEST = 20
"""Fewer columns than that are a mistake of whoever set COLUMNS."""

PANELS = (
    "The main job",
    "While it runs",
    "Experiments",
    "The dataset",
    "What there is to run on and with",
    "For batch scripts",
)
"""The parts of `--help` in order; panels of other packages' verbs come after them."""
OTHER = "Other"


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"panic-hpc {own_version()}")
        raise typer.Exit


@app.callback()
def _global_options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the trace behind an error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    global _verbose
    _verbose = verbose


def register_verbs(target: typer.Typer) -> None:
    """Add every verb installed: modules of this folder, and entry points, that have `register`.

    A verb's `PANEL` is (the panel of `--help` that shows it, its place there). Called again on the
    same `target`, it replaces what it added. PanicError where two verbs carry one name.
    """
    sources: dict[str, installed.PluginSource] = {}
    target.registered_commands.clear()
    target.registered_groups.clear()
    # Every verb is imported for --help, which is why none imports a heavy module at its top.
    for source, module in installed.modules("verbs"):
        before = len(target.registered_commands), len(target.registered_groups)
        with installed.blaming(source):
            if not hasattr(module, "register"):
                continue
            module.register(target)
            panel, place = getattr(module, "PANEL", (OTHER, 0))
            added: list[CommandInfo | TyperInfo] = [*target.registered_commands[before[0] :]]
            for command in [*added, *target.registered_groups[before[1] :]]:
                command.rich_help_panel = panel
                _places[_verb(command)] = (_panel_place(panel), place)
                # The last of a name would be called for the first one.
                if sources.setdefault(_verb(command), source) != source:
                    installed.refuse_double("verbs", _verb(command), source)


def _verb(command: CommandInfo | TyperInfo) -> str:
    return str(command.name or getattr(command.callback, "__name__", ""))


def _panel_place(panel: str) -> int:
    return PANELS.index(panel) if panel in PANELS else len(PANELS)


def _forget_impossible_width(environ: MutableMapping[str, str]) -> None:
    """Take out a COLUMNS that no terminal has, so that the terminal is asked."""
    # Some editors' shells say 0, and rich then prints nothing at all, errors neither.
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < NARROWEST:
        del environ["COLUMNS"]


def _told(error: PanicError | OSError) -> str:
    """Return what is said of an error; of one without a file's name, what it may be of."""
    if isinstance(error, PanicError) or error.filename is not None:
        return str(error)
    try:
        os.getcwd()
    except OSError:
        return "the directory that you are in is gone: cd to one that is there"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"what is printed cannot be written ({error.strerror}): print it elsewhere"
    return str(error)


def main() -> None:
    """Run the command line; a PanicError becomes its message on standard error and exit code 1."""
    _forget_impossible_width(os.environ)
    from panic_hpc.cli.console.output import err, literal

    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 has no arrow: an escape instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        register_verbs(app)
        app()
    except Interrupted as error:
        err.print(literal(str(error), "yellow"))
        sys.exit(exit_codes.INTERRUPTED)
    except ModuleNotFoundError as error:
        if (missing := missing_library(error)) is None:
            raise
        err.print(literal(f"panic-hpc: {missing}", "red"))
        sys.exit(exit_codes.ERROR)
    # `panic-hpc show | head` ends here; a trace would be no news.
    except BrokenPipeError:
        sys.exit(exit_codes.ERROR)
    # A limit of the shell's or of a job's; libraries' own errors of memory are kinds of this one.
    except MemoryError as error:
        told = f"no memory is left ({one_line(str(error), 200) or 'a limit, or this machine'})"
        err.print(literal(f"panic-hpc: {told}. Give it more, then type the same again", "red"))
        sys.exit(exit_codes.ERROR)
    # Also a disk that is full or away, a name too long: such an error names its file.
    except (PanicError, OSError) as error:
        if _verbose:
            traceback.print_exc()
        err.print(literal(f"panic-hpc: {_told(error)}", "red"))
        sys.exit(exit_codes.ERROR)
