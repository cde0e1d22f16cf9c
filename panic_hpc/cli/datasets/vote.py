"""`panic-hpc vote`: people say which of two outputs is better, and what that makes of networks."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import add_named_rows, columns, out, say, say_json, warn
from panic_hpc.plain_text import counted, one_line

if TYPE_CHECKING:
    from panic_hpc.analysis.comparing.arms import Arm
    from panic_hpc.store.dataset.dataset import Dataset
    from panic_hpc.voting.ranking import VotedArm, VoteResult

PANEL = ("The dataset", 3)
MOST_COMMENTS = 20


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(vote)


def vote(
    source: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A dataset, or an experiment that is done.")
    ],
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page to vote on, one file.")
    ] = None,
    is_served: Annotated[
        bool, typer.Option("--serve", help="Serve that page to browsers of this machine.")
    ] = False,
    imported: Annotated[
        list[Path] | None,
        typer.Option("--import", metavar="FILE.json", help="Add votes of a page (repeatable)."),
    ] = None,
    by: Annotated[
        str, typer.Option(help="What is compared: network, experiment, group or noise.")
    ] = "network",
    questions: Annotated[int, typer.Option(min=1, max=2000, help="Asked, at most.")] = 60,
    asked: Annotated[str, typer.Option(metavar="TEXT", help="What is asked.")] = "Which is better?",
    seed: Annotated[int, typer.Option(min=0, help="Of sides and of order.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of intervals.")] = 0.95,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Ask people which outputs are better, and rank networks by what they said.

    Two outputs of one prompt and seed, whose networks are not named. Without an option: the ranks
    (Bradley-Terry), likes and comments so far. Votes lie in the experiment's folder, or beside the
    dataset.
    """
    from panic_hpc.analysis.comparing.arms import all_arms
    from panic_hpc.cli.datasets.compare import opened
    from panic_hpc.voting.folder import votes_folder

    with opened(source) as dataset:
        arms = all_arms([dataset], by)
        folder = votes_folder(dataset.path)
        if page is not None or is_served:
            content = _page(dataset, arms, questions, asked, seed, is_served=is_served)
            if page is not None:
                _write_page(page, content, dataset, force)
                return
            _serve(content, folder, port)
        if imported:
            _import(dataset, folder, imported, is_told=not as_json)
        _tell(arms, folder, level, as_json)


def _page(
    dataset: "Dataset", arms: "Sequence[Arm]", most: int, asked: str, seed: int, *, is_served: bool
) -> bytes:
    from panic_hpc.report.voting.voting_page import voting_page
    from panic_hpc.voting.questions import questions_on

    return voting_page(
        questions_on(arms, most, seed=seed),
        dataset.content_key,
        title=dataset.path.parent.name or dataset.path.name,
        asked=asked,
        is_served=is_served,
    )


def _write_page(path: Path, content: bytes, dataset: "Dataset", force: bool) -> None:
    from panic_hpc.disk.files import replace_file
    from panic_hpc.disk.overwriting import admit

    admit(path, [dataset.path], force=force)
    replace_file(path, content)
    say(f"{'page':20} {path}")
    say("Open it in a browser, or send it; then panic-hpc vote … --import what it lets download")


def _serve(content: bytes, folder: Path, port: int) -> None:
    from panic_hpc.voting.folder import VoteLog
    from panic_hpc.voting.server import VoteServer

    with VoteLog(folder) as log, VoteServer(content, log, port) as server:
        say(f"{'page':20} {server.address}")
        say(f"{'votes':20} {log.path}")
        say("Ctrl-C ends it; every answer that the page calls kept is on the disk")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
        say(f"{counted(server.n_kept, 'answer')} kept")


def _import(dataset: "Dataset", folder: Path, paths: Sequence[Path], *, is_told: bool) -> None:
    from panic_hpc.voting.folder import import_votes
    from panic_hpc.voting.votes import read_votes_file

    # All are read before one is stored.
    sent = [read_votes_file(path) for path in paths]
    for path, one in zip(paths, sent, strict=True):
        is_new = import_votes(folder, one)
        if one.content_key != dataset.content_key:
            warn(f"{path} was given on another dataset; votes on runs that are here count")
        if is_told:
            said = counted(len(one.votes), "vote") if is_new else "imported before"
            say(f"{path}: {said}")


def _tell(arms: "Sequence[Arm]", folder: Path, level: float, as_json: bool) -> None:
    from panic_hpc.disk.files import without_nan
    from panic_hpc.voting.folder import read_votes
    from panic_hpc.voting.ranking import rank
    from panic_hpc.voting.votes import latest

    stored = read_votes(folder)
    for path in stored.cut_files:
        warn(f"{path}: its last line was cut short and never called kept; it is left out")
    found = rank(arms, latest(stored.votes), level=level)
    if as_json:
        say_json(without_nan(asdict(found)))
        return
    _print(found)


def _print(found: "VoteResult") -> None:
    from panic_hpc.report.comparison_sheet import short_names

    n_liked = sum(one.liking.n for one in found.arms)
    if not (found.n_preferences or n_liked or found.comments):
        say("No votes yet: --page FILE.html writes a page to vote on, --serve serves it")
        return
    told = counted(found.n_preferences, "comparison")
    say(f"{told} ({found.n_ties} for neither) by {counted(found.n_voters, 'voter')}", "bold")
    head = ("rank", "network", "preferred", f"{found.level:.0%} interval", "compared", "liked")
    table = columns(*head, left=("rank", "network"))
    names = short_names([one.name for one in found.arms])
    rows = (_cells(name, one) for name, one in zip(names, found.arms, strict=True))
    add_named_rows(table, rows, names=1)
    out.print(table, soft_wrap=False)
    for note in found.notes:
        warn(f"  {note}")
    if found.n_foreign:
        warn(f"  {counted(found.n_foreign, 'vote')} on runs that are not here left out")
    for arm, voter, text in found.comments[:MOST_COMMENTS]:
        say(f"  {one_line(voter)} on {arm}: {one_line(text, 200)}")
    if len(found.comments) > MOST_COMMENTS:
        say(f"  … and {len(found.comments) - MOST_COMMENTS} more comments, all of them in --json")


def _cells(name: str, one: "VotedArm") -> tuple[str, ...]:
    strength, liking = one.strength, one.liking
    ranks = f"{strength.best_rank}"
    if strength.worst_rank != strength.best_rank:
        ranks += f" to {strength.worst_rank}"
    is_known = not math.isnan(strength.share)
    interval = "" if math.isnan(strength.low) else f"{strength.low:.0%} to {strength.high:.0%}"
    liked = f"{liking.n_likes} of {liking.n}" if liking.n else ""
    share = f"{strength.share:.0%}" if is_known else ""
    return ranks if is_known else "", name, share, interval, str(strength.n or ""), liked
