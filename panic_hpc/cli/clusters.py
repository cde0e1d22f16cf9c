"""`panic-hpc clusters`: the cluster profiles that there are, one of them, and whether it holds."""

from typing import TYPE_CHECKING, Annotated

import typer

from panic_hpc import exit_codes
from panic_hpc.cli.console.options import Json

if TYPE_CHECKING:
    from panic_hpc.health.site import SiteFinding

PANEL = ("What there is to run on and with", 0)

STYLES = {"ok": "green", "warning": "yellow", "error": "red"}

Name = Annotated[str, typer.Argument(help="A profile's name, or a file that ends in .toml.")]


def register(app: typer.Typer) -> None:
    """Add the verb and its own verbs."""
    verbs = typer.Typer(help="Cluster profiles: list, show, check.", no_args_is_help=True)
    verbs.command("list")(list_profiles)
    verbs.command()(show)
    verbs.command()(check)
    app.add_typer(verbs, name="clusters")


def list_profiles(as_json: Json = False) -> None:
    """List the profiles that can be named, and whether each was ever tried on its cluster."""
    from panic_hpc.cli.console.output import say, say_json, warn
    from panic_hpc.clusters.profiles import available, load_cluster
    from panic_hpc.errors import ConfigError

    clusters = {}
    for name, path in available().items():
        try:
            clusters[name] = load_cluster(str(path))
        except ConfigError as error:
            # One broken profile must not hide the others.
            warn(str(error))
    if as_json:
        files = {name: str(path) for name, path in available().items()}
        say_json({name: [files[name], cluster.description] for name, cluster in clusters.items()})
        return
    width = max(map(len, clusters), default=0)
    for name, cluster in clusters.items():
        tried = (
            "" if cluster.source.tried or cluster.scheduler == "local" else "  (not tried there)"
        )
        say(f"{name:{width}}  {cluster.description}{tried}")


def show(name: Name, as_json: Json = False) -> None:
    """Show a profile with everything it extends, and each stage's sbatch options."""
    from panic_hpc.backends.slurm.job_environment import host_lines
    from panic_hpc.cli.console.output import say, say_json
    from panic_hpc.clusters.profiles import load_cluster
    from panic_hpc.health.site import option_words
    from panic_hpc.stages.base import installed_stages

    # Not resolved: its variables need not be set here for it to be looked at.
    cluster = load_cluster(name)
    if as_json:
        say_json(cluster.model_dump(mode="json"))
        return
    say(f"{cluster.name}: {cluster.description}")
    for document in cluster.source.documents:
        say(f"  from {document}")
    for stage in installed_stages():
        say(f"{stage:>10}  {' '.join(option_words(cluster, stage)) or '(no options)'}")
    say("every job begins with")
    for line in host_lines(cluster):
        say(f"  {line}")


def check(name: Name, as_json: Json = False) -> None:
    """See what of a profile holds on this login node; nothing is queued.

    Exit codes: 0 jobs can be submitted, 1 something would stop them.
    """
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.clusters.profiles import load_cluster, resolved
    from panic_hpc.health.site import check_site

    findings = []
    for finding in check_site(resolved(load_cluster(name))):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        say_json([[one.subject, one.verdict, one.text] for one in findings])
    if any(one.verdict == "error" for one in findings):
        raise typer.Exit(exit_codes.ERROR)


def _print(finding: "SiteFinding") -> None:
    from panic_hpc.cli.console.output import say

    line = f"{finding.verdict:>7}  {finding.subject}: {finding.text}"
    say(line, STYLES[finding.verdict])
