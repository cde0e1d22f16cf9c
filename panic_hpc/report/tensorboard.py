"""A dataset as event files that TensorBoard shows: scores by step, pictures, settings.

A network is a run of TensorBoard's, a step of ours its step. The writer is tensorboardX's; events
are of the dataset alone, without a clock or the name of a host.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from panic_hpc.analysis.comparing.arms import Arm, Pair, all_arms, spread
from panic_hpc.disk import system
from panic_hpc.disk.file_names import file_name
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.disk.publish import temporary_file
from panic_hpc.errors import AwayError, ShardError
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.store.format.references import require_there

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

FILE = "events.out.tfevents.0.panic-hpc"
"""What TensorBoard takes for an event file is told by its name."""

Report = Callable[[int, int], None]
Summaries = Iterator[tuple[int, Any]]


def export_tensorboard(
    dataset: "Dataset",
    directory: Path,
    *,
    pictures: int = 8,
    force: bool = False,
    report: Report = lambda done, total: None,
) -> list[Path]:
    """Write an event file a network, and return them.

    Each has the mean over runs of every score at every step, the pictures of `pictures` runs, the
    prompts of these, and the settings in which networks differ. PanicError where something is in
    the directory and `force` is not given, ShardError where pictures that the dataset refers to are
    away.
    """
    require_sound(dataset.file)
    if pictures:
        require_there(dataset.file)
    admit_directory(directory, [dataset.path], force=force)
    arms = all_arms([dataset])
    settings = _differing([_settings_of(dataset, arm) for arm in arms])
    written = []
    for place, arm in enumerate(arms):
        name = f"network_{place:03d}_{file_name(arm.name)}"
        # Absolute: of a name such as s3:x the writer would take the beginning for a service.
        path = directory.absolute() / name / FILE
        admit(path, [dataset.path], force=force)
        _write(path, _summaries(arm, settings[place], pictures))
        written.append(directory / name / FILE)
        report(place + 1, len(arms))
    return written


def _write(path: Path, summaries: Summaries) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter

    with temporary_file(path) as temporary:
        with closing(RecordWriter(str(temporary))) as writer:
            writer.write(Event(file_version="brain.Event:2").SerializeToString())
            for step, summary in summaries:
                writer.write(Event(step=step, summary=summary).SerializeToString())
        system.rename(temporary, path)


def _summaries(arm: Arm, settings: Mapping[str, Any], pictures: int) -> Summaries:
    from tensorboardX import summary

    scalars = list(_scalars(arm))
    last = {tag: value for tag, _, value in scalars}
    yield from ((0, one) for one in summary.hparams(dict(settings), last))
    for tag, step, value in scalars:
        yield step, summary.scalar(tag, value)
    for pair in spread(list(arm.rows), pictures):
        tag = f"seed {pair.seed}/{pair.prompt[:60]}"
        yield 0, summary.text(tag, pair.prompt)
        for step, pixels in _pictures(arm, pair):
            yield step, summary.image(tag, pixels, dataformats="HWC")


def _scalars(arm: Arm) -> Iterator[tuple[str, int, float]]:
    """Yield (score, step, mean over the runs that have it); a step without any is left out."""
    import polars as pl

    for metric, components in arm.dataset.metrics.items():
        frame = arm.dataset.scores(metric).filter(pl.col("run").is_in(arm.runs.tolist()))
        for component in components:
            own = frame.filter(pl.col(component).is_not_nan())
            means = (
                own.group_by("step", maintain_order=True).agg(pl.col(component).mean()).sort("step")
            )
            tag = metric if len(components) == 1 else f"{metric}/{component}"
            yield from ((tag, int(step), float(value)) for step, value in means.rows())


def _pictures(arm: Arm, pair: Pair) -> Iterator[tuple[int, np.ndarray]]:
    row = arm.rows[pair]
    for step in arm.dataset.image_steps(row):
        try:
            yield step, arm.dataset.image(row, step)
        except AwayError:
            raise
        # A stranger's file may have pictures that are none.
        except ShardError:
            continue


def _settings_of(dataset: "Dataset", arm: Arm) -> dict[str, Any]:
    """Return the settings of an arm's models by their place in its network."""
    row = next(iter(arm.rows.values()))
    network = dataset.metadata["networks"][int(dataset.file.slice("runs/network", row, row + 1)[0])]
    models = [dataset.metadata["models"][number] for number in network["models"]]
    return {
        f"{place}.{setting}": value if isinstance(value, bool | int | float) else str(value)
        for place, model in enumerate(models, start=1)
        for setting, value in {"model": model["name"], **model["settings"]}.items()
    }


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each table what is not the same in all of them."""
    names = dict.fromkeys(name for table in settings for name in table)
    apart = [name for name in names if len({str(table.get(name)) for table in settings}) > 1]
    return [{name: table[name] for name in apart if name in table} for table in settings]
