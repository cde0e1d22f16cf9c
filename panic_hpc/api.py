"""Experiments from Python: plan one, submit it, wait for it, see how it stands.

    import panic_hpc

    workspace = panic_hpc.plan("experiment.toml", "EXP")
    panic_hpc.submit(workspace, wait=True)
    dataset = panic_hpc.open(workspace.paths.dataset)

Nothing here prints unless `progress` asks for it. Whatever is wrong is raised as a PanicError.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc import clock
from panic_hpc.backends.base import (
    Agree,
    Executor,
    SilentWatcher,
    SubmitRequest,
    Watcher,
    agree_to_all,
    backend_of,
    request_for,
)
from panic_hpc.backends.local import background
from panic_hpc.backends.status_query import StatusSnapshot, query_status
from panic_hpc.errors import PanicError
from panic_hpc.models.hub.lock import LockedModel, commits_of, locks_of, used_of, write_lock
from panic_hpc.paths import ExperimentPaths, require_utf8
from panic_hpc.planning import manifest as manifests
from panic_hpc.planning.availability import refuse_unavailable
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.plan import Plan, plan_file
from panic_hpc.worker.stopper import clear_halt
from panic_hpc.workspace.disk_space import shortage
from panic_hpc.workspace.ledger import Submission
from panic_hpc.workspace.status import ShardStatus, Status
from panic_hpc.workspace.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Executor",
    "SubmitRequest",
    "Watcher",
    "open_workspace",
    "plan",
    "preview",
    "request_for",
    "status",
    "status_rows",
    "submit",
    "wait",
]

# Sites complain of clients that ask their scheduler each second.
ASK_EVERY_S = 10.0
LOOK_EVERY_S = 1.0


def plan(
    file: str | PathLike[str],
    directory: str | PathLike[str] | None = None,
    *,
    runs_per_shard: int | None = None,
    target_minutes: float | None = None,
    models_file: str | PathLike[str] | None = None,
    allow_remote_code: bool = False,
) -> Workspace:
    """Plan the experiment in `file` in `directory` (default: the file's name) and return it opened.

    Planning the same experiment there again changes nothing. Shards hold `runs_per_shard` runs, or
    as many as take `target_minutes` (60 where neither is given) by the models' costs. `models_file`
    and `allow_remote_code` go before what the file says of them. Raises ConfigError with all that
    is wrong in the file, ManifestError where the directory holds another experiment.

        workspace = panic_hpc.plan("experiment.toml", "EXP", target_minutes=30)
    """
    paths = _paths_of(file, directory)
    planned, locked = _planned(
        Path(file), paths, (runs_per_shard, target_minutes), models_file, allow_remote_code
    )
    require_utf8(paths.root)
    written = manifests.write(planned, paths)
    if kept := used_of(locked, written.specs):
        write_lock(paths.lock, kept)
    return open_workspace(paths.root)


def preview(
    file: str | PathLike[str],
    directory: str | PathLike[str] | None = None,
    *,
    runs_per_shard: int | None = None,
    target_minutes: float | None = None,
    models_file: str | PathLike[str] | None = None,
    allow_remote_code: bool = False,
) -> Manifest:
    """Return the manifest that `plan` would write; writes nothing.

    panic_hpc.preview("experiment.toml").n_runs
    """
    paths = _paths_of(file, directory)
    planned, _ = _planned(
        Path(file), paths, (runs_per_shard, target_minutes), models_file, allow_remote_code
    )
    return manifests.manifest_of(planned)


def _paths_of(file: str | PathLike[str], directory: str | PathLike[str] | None) -> ExperimentPaths:
    return ExperimentPaths(Path(directory) if directory else Path(Path(file).stem))


def _planned(
    file: Path,
    paths: ExperimentPaths,
    layout: tuple[int | None, float | None],
    models_file: str | PathLike[str] | None,
    allow_remote_code: bool,
) -> tuple[Plan, Sequence[LockedModel]]:
    """Return the plan, laid out as asked or as it is in `paths`, and what was locked for it."""
    from panic_hpc.experiment import catalogue

    options = manifests.layout_options(paths, *layout)
    locked = locks_of(file, paths)
    extra: dict[str, Any] = (
        {"models_file": str(Path(models_file).absolute())} if models_file else {}
    )
    extra |= {"allow_remote_code": True} if allow_remote_code else {}
    return plan_file(file, catalogue.load(), options, extra, commits_of(locked)), locked


def submit(
    workspace: Workspace,
    request: SubmitRequest | str = "local",
    *,
    wait: bool = False,
    progress: bool | Watcher = False,
    agree: Agree = agree_to_all,
) -> Submission | None:
    """Do, or let a scheduler do, what is not done yet; call it again to go on after anything.

    `request` is the name of a cluster profile, or a SubmitRequest. Comes back at once: jobs are
    queued, or a process of its own works on this machine. With `wait` it comes back when all that
    was submitted is over; on this machine the calling process then leads the work, and Ctrl-C stops
    it after its checkpoints (Interrupted). `agree` is shown what jobs may cost before they are
    submitted. Returns None where there was nothing to submit, or no consent.

    Raises ModelError where a model cannot be loaded, LaunchError where the request is refused.

        panic_hpc.submit(workspace)                                # here, in the background
        panic_hpc.submit(workspace, wait=True, progress=True)      # here, with bars
        panic_hpc.submit(workspace, "mine")                        # as jobs
        panic_hpc.submit(workspace, panic_hpc.request_for("mine", stages=("runs",), retry=True))
    """
    if isinstance(request, str):
        request = request_for(request)
    require_utf8(workspace.paths.root)
    refuse_unavailable(workspace.manifest)
    workspace.known_stages(request.stages)
    # Before anything starts, or new workers would leave at once.
    withdrawn = clear_halt(workspace.paths.halt)
    backend = backend_of(request.cluster)
    if backend.is_synchronous and not wait:
        return background.start(workspace, request)
    with _watching(progress) as watcher:
        if too_little := shortage(workspace, request.stages):
            watcher.tell(too_little)
        if withdrawn:
            watcher.tell("There was a request to stop; it is withdrawn by this submission")
        submission = backend.submit(workspace, request, watcher, agree)
        if wait and not backend.is_synchronous:
            _watch(workspace, watcher, None, None)
    return submission


def wait(
    workspace: Workspace,
    *,
    timeout_s: float | None = None,
    poll_s: float | None = None,
    progress: bool | Watcher = False,
) -> Status:
    """Wait until nothing that was submitted is under way any more, and return how all stands then.

    That is not yet success: look at `.is_complete`, and at `status` for what failed. After
    `timeout_s` the status is returned as it is. Looks every `poll_s`, by default each second, and
    every ten where a scheduler has to be asked.

        state = panic_hpc.wait(workspace)
        if not state.is_complete:
            print(panic_hpc.status(workspace))
    """
    with _watching(progress) as watcher:
        return _watch(workspace, watcher, timeout_s, poll_s)


def _watch(
    workspace: Workspace, watcher: Watcher, timeout_s: float | None, poll_s: float | None
) -> Status:
    give_up = None if timeout_s is None else clock.monotonic() + timeout_s
    begun = False
    while True:
        found = query_status(workspace)
        _tell(found.status, watcher, is_first=not begun)
        begun = True
        is_late = give_up is not None and clock.monotonic() >= give_up
        if is_late or not _is_under_way(found):
            break
        pause = poll_s or (ASK_EVERY_S if found.queue else LOOK_EVERY_S)
        left = pause if give_up is None else give_up - clock.monotonic()
        clock.sleep(max(0.0, min(pause, left)))
    for stage in found.status.stages:
        watcher.end(stage, found.status)
    return found.status


def _tell(state: Status, watcher: Watcher, *, is_first: bool) -> None:
    for stage, shards in state.stages.items():
        counts = state.counts(stage)
        if is_first:
            watcher.begin(stage, len(shards), counts["completed"])
        watcher.advance(stage, sum(shard.fraction for shard in shards), counts["failed"])


def _is_under_way(snapshot: StatusSnapshot) -> bool:
    """Whether a job, a worker, or a process that submits on this machine goes on."""
    if snapshot.status.is_complete:
        return False
    is_submitted = any(shard.state == "submitted" for shard in snapshot.status.all())
    return is_submitted or any(submission.is_running_here for submission in snapshot.ledger)


def status(workspace: Workspace) -> "pl.DataFrame":
    """Return a polars frame, a row a shard: what is completed, what is running, what is in the way.

    Columns: stage, shard, model, first_run, n_runs, state, detail, hint, job, running, fraction.
    Asks each scheduler at most once. Raises PanicError without polars (`status_rows` needs none).

        frame = panic_hpc.status(workspace)
        frame.group_by("stage", "state").len()
    """
    try:
        import polars
    except ImportError as error:
        hint = "pip install 'panic-hpc[analysis]', or call panic_hpc.status_rows"
        raise PanicError("Frames need polars", hint=hint) from error
    return polars.DataFrame(status_rows(workspace), infer_schema_length=None)


def status_rows(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the rows of `status` as plain dictionaries."""
    return [_row(shard) for shard in query_status(workspace).status.all()]


def _row(shard: ShardStatus) -> dict[str, Any]:
    return {
        "stage": shard.shard.stage,
        "shard": shard.name,
        "model": shard.shard.model,
        "first_run": shard.shard.first_run,
        "n_runs": shard.shard.n_runs,
        "state": shard.state,
        "detail": shard.detail,
        "hint": shard.hint,
        "job": shard.job,
        "running": shard.running,
        "fraction": shard.fraction,
    }


@contextmanager
def _watching(progress: bool | Watcher) -> Iterator[Watcher]:
    if progress is False:
        yield SilentWatcher()
    elif progress is True:
        from panic_hpc.cli.console.progress import watcher

        with watcher() as shown:
            yield shown
    else:
        yield progress
