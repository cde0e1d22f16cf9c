"""Arguments and options that several verbs share: one wording, one type."""

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path, typer.Argument(metavar="EXP", help="The experiment's directory.")]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="Only this stage (repeatable).")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what stands at the output, unless it is an input.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do without being asked for consent.")]
ClusterName = Annotated[
    str, typer.Option("--cluster", help="A cluster profile; see `panic-hpc clusters list`.")
]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="local: worker processes here; inline: this process.")
]
Workers = Annotated[
    int, typer.Option(min=0, help="Worker processes; 0: one a GPU, else one a core.")
]
WorkersPerGpu = Annotated[
    int,
    typer.Option(
        "--workers-per-gpu", min=0, max=48, help="Workers that share a GPU; 0: as the profile says."
    ),
]
Image = Annotated[str, typer.Option(help="A container image in place of the profile's.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show scripts, cost and sbatch's verdict; submit nothing.")
]
OtherNumerics = Annotated[
    bool,
    typer.Option("--allow-other-numerics", help="Continue checkpoints of another kind of machine."),
]
ShortWalltime = Annotated[
    bool,
    typer.Option(
        "--allow-short-walltime",
        help="Submit shards that need several walltimes though the profile does not requeue.",
    ),
]
