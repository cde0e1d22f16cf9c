"""`panic-hpc verify`: check shards and datasets against the rules of the format."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.byte_bar import byte_bar
from panic_hpc.cli.console.options import Json
from panic_hpc.cli.console.output import say, say_json, warn
from panic_hpc.errors import PanicError

if TYPE_CHECKING:
    from panic_hpc.store.checks.rules import Finding
    from panic_hpc.store.checks.sampling import Sample
    from panic_hpc.store.checks.verify import Verified

PANEL = ("The dataset", 0)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(verify)


def verify(
    paths: Annotated[
        list[Path],
        # What may not be read is told by name, and the others are checked.
        typer.Argument(metavar="PATH…", help="Datasets, shards or experiments.", readable=False),
    ],
    sample: Annotated[
        str, typer.Option(metavar="PERCENT", help="Read this share of blocks and images: 5%.")
    ] = "",
    part: Annotated[
        str, typer.Option(metavar="K/N", help="Read the k-th of n parts of blocks and images.")
    ] = "",
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="Open the files in a limited child process.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check structure, digests, order, texts and images, and print the content key.

    Exit code 0: clean; 1: there are findings; 2: something could not be checked.
    """
    try:
        # All before the first is printed, because --json is one document.
        results = list(_results(paths, _sample(sample, part), untrusted))
    except PanicError as error:
        warn(f"panic-hpc: {error}")
        raise typer.Exit(exit_codes.USAGE) from error
    if as_json:
        say_json([_to_json(result) for result in results])
    else:
        for result in results:
            _print(result)
    if any(result.findings for result in results):
        sys.exit(exit_codes.ERROR)
    sys.exit(exit_codes.USAGE if any(one.unchecked for one in results) else exit_codes.OK)


def _sample(share: str, part: str) -> "Sample":
    from panic_hpc.store.checks.sampling import parse_sample

    return parse_sample(share, part)


def _results(paths: Sequence[Path], sample: "Sample", untrusted: bool) -> "Iterator[Verified]":
    from panic_hpc.health.experiment import is_experiment, verify_experiment
    from panic_hpc.store.checks.untrusted import verify_in_child
    from panic_hpc.store.checks.verify import verify_among_others, verify_file

    check = verify_among_others if len(paths) > 1 else verify_file
    for path in paths:
        with byte_bar(path.name) as report:
            if is_experiment(path):
                yield from verify_experiment(path, sample, report)
            elif untrusted:
                yield verify_in_child(path, sample)
            else:
                yield check(path, sample, report)


def _to_json(result: "Verified") -> dict[str, Any]:
    return {
        "path": str(result.path),
        "kind": result.kind,
        "content_key": result.content_key,
        "incomplete_diagrams": result.n_incomplete,
        "undecoded_images": result.n_undecoded,
        "not_repeatable": list(result.not_repeatable),
        **({"unchecked": result.unchecked} if result.unchecked else {}),
        "findings": [finding.to_json() for finding in result.findings],
    }


def _print(result: "Verified") -> None:
    key = f", content key {result.content_key}" if result.content_key else ""
    if result.n_incomplete:
        key += f", {result.n_incomplete} diagrams incomplete (stopped by time or memory)"
    if result.n_undecoded:
        warn(
            f"{result.n_undecoded} pictures were not decoded: that needs Pillow. "
            "pip install 'panic-hpc[pictures]'"
        )
    for name in result.not_repeatable:
        say(f"{result.path}: {name} is recorded, not repeatable")
    if result.unchecked:
        warn(f"{result.path}: not checked: {result.unchecked}")
        return
    if not result.findings:
        say(f"{result.path}: clean {result.kind}{key}")
        return
    say(f"{result.path}: {len(result.findings)} findings{key}", style="red")
    for finding in result.findings:
        _print_finding(finding)


def _print_finding(finding: "Finding") -> None:
    say(f"  {finding.rule} {finding.importance}: {finding.message}")
    say(f"    {finding.hint}", style="dim")
