"""`panic-hpc retry`: failed and lost shards again, and what waits for them."""

from typing import Annotated, Any

import typer

from panic_hpc.cli.main_job.submission import carry_out, shares_options

PANEL = ("While it runs", 3)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(retry)


@shares_options
def retry(
    *,
    any_node: Annotated[
        bool, typer.Option("--any-node", help="Leave out no node, whatever failed there.")
    ] = False,
    **typed: Any,
) -> None:
    """Try failed and lost shards again; a record of failure goes when its shard is completed.

    On a cluster, shards that died of memory get twice as much, nodes on which shards failed
    repeatedly are left out, and jobs that wait for failed ones for ever are cancelled first.
    """
    carry_out(**typed, retry=True, any_node=any_node)
