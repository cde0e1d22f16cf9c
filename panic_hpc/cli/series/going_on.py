"""`panic-hpc series start` and `advance`: round after round."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.options import ClusterName, ExecutorName, Json, Workers
from panic_hpc.cli.console.output import say, warn
from panic_hpc.cli.series.place import Place
from panic_hpc.cli.series.showing import tell_series
from panic_hpc.plain_text import counted


def start_series(
    file: Annotated[Path, typer.Argument(metavar="SERIES", help="A series' file, in TOML.")],
    directory: Place,
    from_captions: Annotated[
        Path | None,
        typer.Option(metavar="EXP", help="Founders are what the captions of a dataset say."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the file's.")] = None,
) -> None:
    """Begin a series: its founders, and the first round's experiment. Nothing runs yet."""
    from panic_hpc.evolution.driving import start as begin
    from panic_hpc.evolution.series_file import read_series

    captions = _captions(from_captions) if from_captions else None
    plan = read_series(file, captions, seed=seed)
    begin(directory, plan)
    n_founders = len(plan.population.individuals)
    say(f"{counted(n_founders, 'founder')}, {counted(plan.series.rounds, 'round')}")
    say(f"{'series':20} {directory}")
    say(f"Now: panic-hpc series advance {directory}")


def _captions(source: Path) -> list[str]:
    from panic_hpc.cli.datasets.compare import opened
    from panic_hpc.evolution.captions import captions_of

    with opened(source) as dataset:
        return captions_of(dataset)


def advance_series(
    directory: Place,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="At most so many; else to the end.")
    ] = None,
    cluster: ClusterName = "local",
    executor: ExecutorName = "local",
    workers: Workers = 0,
    waits: Annotated[
        bool, typer.Option("--wait", help="Wait for jobs, and leave none that goes on by itself.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on with a series: run, merge, rank and breed, round after round.

    Whatever ended it, the same command goes on where it was. On a cluster it submits a round, and a
    small job behind it that goes on by itself.
    """
    from panic_hpc.backends.base import backend_of, request_for
    from panic_hpc.cli.main_job.submission import executor_named
    from panic_hpc.evolution.by_jobs import RoundsByJobs, forget_stop
    from panic_hpc.evolution.driving import advance as go_on
    from panic_hpc.evolution.driving import history, read_plan
    from panic_hpc.evolution.judging import UnderWay, Waiting
    from panic_hpc.search.driving import completed

    plan = read_plan(directory)
    request = request_for(cluster, executor=executor_named(executor), workers=workers)
    tell = (lambda text: None) if as_json else say
    forget_stop(directory)
    by_jobs = RoundsByJobs(directory, cluster, is_by_hand=True)
    is_here = waits or backend_of(request.cluster).is_synchronous
    complete = partial(completed, tell=tell) if is_here else by_jobs.complete
    try:
        found = go_on(
            directory,
            plan,
            request,
            most_rounds=rounds,
            progress=not as_json,
            tell=tell,
            complete=complete,
        )
    except UnderWay as submitted:
        tell(str(submitted))
        found = history(directory, plan)
    except Waiting as waiting:
        warn(str(waiting))
        raise typer.Exit(exit_codes.INCOMPLETE) from None
    tell_series(directory, plan, found, as_json)
