"""The command line: one verb a file, each with `register(app)`; parses, calls, prints."""

import importlib
import io
import pkgutil
import sys
import traceback
from typing import Annotated, Any

import typer

from panic_hpc import exit_codes
from panic_hpc.cli import panels
from panic_hpc.errors import Interrupted, PanicError
from panic_hpc.versions import own_version

app = typer.Typer(
    name="panic-hpc",
    help="PANIC-TDA experiments at the scale of a cluster.",
    no_args_is_help=True,
    # Rich's tracebacks print lines of source, and whatever secret stands in them.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_verbose = False


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
    """Let every module of this package that has `register` add its commands."""
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        # Every verb is imported for --help, which is why none of them imports a heavy module at its
        # top.
        module: Any = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "register"):
            module.register(target)
    panels.arrange(target)


def main() -> None:
    """Run the command line; a PanicError becomes its message on standard error and exit code 1."""
    from panic_hpc.cli.console.output import err, literal

    register_verbs(app)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 has no arrow: an escape instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Interrupted as error:
        err.print(literal(str(error), "yellow"))
        sys.exit(exit_codes.INTERRUPTED)
    # `panic-hpc show | head` ends here; a trace would be no news.
    except BrokenPipeError:
        sys.exit(exit_codes.ERROR)
    # Also a disk that is full or away, a name too long: such an error names its file.
    except (PanicError, OSError) as error:
        if _verbose:
            traceback.print_exc()
        err.print(literal(f"panic-hpc: {error}", "red"))
        sys.exit(exit_codes.ERROR)
