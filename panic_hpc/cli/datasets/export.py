"""`panic-hpc export …`: a dataset as tables, image files, a film, or a crate for a repository."""

import re
from pathlib import Path
from typing import Annotated

import typer

from panic_hpc.cli.console.byte_bar import count_bar
from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import say, say_json
from panic_hpc.plain_text import size

PANEL = ("The dataset", 2)

export = typer.Typer(name="export", help="Write a dataset in other forms.", no_args_is_help=True)

Source = Annotated[
    Path, typer.Argument(metavar="DATASET", help="A dataset, or an experiment that has one.")
]
Target = Annotated[Path, typer.Option("--output", "-o", help="The directory to write.")]


def register(app: typer.Typer) -> None:
    """Add the verbs under `export`."""
    app.add_typer(export, name="export")


def dataset_path(source: Path) -> Path:
    """Return the dataset that a path means: itself, or that of the experiment there."""
    from panic_hpc.paths import ExperimentPaths

    return ExperimentPaths(source).dataset if source.is_dir() else source


@export.command()
def parquet(source: Source, output: Target, force: Force = False, as_json: Json = False) -> None:
    """Write runs, invocations, embeddings and diagrams as Parquet files."""
    from panic_hpc.store.dataset.dataset import open_dataset
    from panic_hpc.store.exports.parquet import export_parquet

    with open_dataset(dataset_path(source)) as dataset:
        _print(export_parquet(dataset, output, force=force), as_json)


@export.command()
def images(
    source: Source,
    output: Target,
    every: Annotated[int, typer.Option(min=1, help="Every n-th image of a run.")] = 1,
    image_format: Annotated[
        str, typer.Option("--format", help="webp or png (lossless), or jpeg.")
    ] = "webp",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write images as files by network, prompt and run, with what they show in their EXIF."""
    from panic_hpc.store.dataset.dataset import open_dataset
    from panic_hpc.store.exports.images import export_images

    with open_dataset(dataset_path(source)) as dataset, count_bar("runs") as report:
        written = export_images(
            dataset, output, every=every, image_format=image_format, force=force, report=report
        )
    if as_json:
        say_json({"directory": str(output), "images": written})
    else:
        say(f"{output}: {written} images")


@export.command()
def video(
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="The film: .mp4, .webm or .mkv.")],
    size_: Annotated[
        str,
        typer.Option("--size", help="hd, full-hd, 2k, 4k, 8k, or WIDTHxHEIGHT in pixels."),
    ] = "full-hd",
    fps: Annotated[int, typer.Option(min=1, max=120, help="Frames, so steps, a second.")] = 4,
    codec: Annotated[str, typer.Option(help="av1, h264 or vp9.")] = "av1",
    every: Annotated[int, typer.Option(min=1, help="Every n-th step that has pictures.")] = 1,
    network: Annotated[str, typer.Option(help="Only this network, by name or number.")] = "",
    prompt: Annotated[str, typer.Option(help="Only this prompt, by text or number.")] = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a film: all runs side by side by network, prompt and seed, a step a frame."""
    from panic_hpc.report.video import export_video
    from panic_hpc.store.dataset.dataset import open_dataset

    with open_dataset(dataset_path(source)) as dataset, count_bar("frames") as report:
        n_frames = export_video(
            dataset,
            output,
            size=size_,
            fps=fps,
            codec=codec,
            every=every,
            network=_number_or_text(network),
            prompt=_number_or_text(prompt),
            force=force,
            report=report,
        )
    if as_json:
        say_json({"path": str(output), "frames": n_frames, "bytes": output.stat().st_size})
    else:
        say(f"{output}: {n_frames} frames, {size(output.stat().st_size)}")


@export.command()
def tensorboard(
    source: Source,
    output: Target,
    pictures: Annotated[int, typer.Option(min=0, help="Runs a network that show theirs.")] = 8,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write event files for TensorBoard: scores by step, pictures, settings; a network a run."""
    from panic_hpc.report.tensorboard import export_tensorboard
    from panic_hpc.store.dataset.dataset import open_dataset

    with open_dataset(dataset_path(source)) as dataset, count_bar("networks") as report:
        written = export_tensorboard(dataset, output, pictures=pictures, force=force, report=report)
    _print(written, as_json)


def _number_or_text(value: str) -> int | str | None:
    return int(value) if value.isdecimal() else (value or None)


@export.command()
def crate(
    source: Source,
    output: Target,
    title: Annotated[str, typer.Option(help="Title of the dataset.")],
    author: Annotated[
        list[str], typer.Option(help="'Family, Given' or 'Family, Given <ORCID>'; repeatable.")
    ],
    description: Annotated[str, typer.Option(help="A sentence or two on what it is.")] = "",
    licence: Annotated[str, typer.Option(help="SPDX identifier.")] = "CC-BY-4.0",
    publisher: Annotated[str, typer.Option(help="The repository that will publish it.")] = "",
    max_file: Annotated[
        str, typer.Option(metavar="SIZE", help="Split by runs into files of at most 45GB, say.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Write the dataset with README, licence, CITATION.cff, checksums, DataCite and RO-Crate."""
    from panic_hpc.store.exports.crate import (
        Description,
        export_crate,
        require_described,
        require_empty,
    )

    about = Description(title, tuple(author), description, licence, publisher)
    require_described(about)
    limit = _bytes(max_file)
    # Before the parts are written into it, which may take hours.
    require_empty(output, [dataset_path(source)])
    _print(export_crate(_parts(dataset_path(source), output, limit), output, about), as_json)


@export.command()
def croissant(
    source: Source,
    output: Target,
    title: Annotated[str, typer.Option(help="Title of the dataset.")],
    author: Annotated[
        list[str], typer.Option(help="'Family, Given' or 'Family, Given <ORCID>'; repeatable.")
    ],
    description: Annotated[str, typer.Option(help="A sentence or two on what it is.")] = "",
    licence: Annotated[str, typer.Option(help="SPDX identifier.")] = "CC-BY-4.0",
    publisher: Annotated[str, typer.Option(help="The repository that will publish it.")] = "",
    url: Annotated[str, typer.Option(help="The page where it will be published.")] = "",
    as_json: Json = False,
) -> None:
    """Write the dataset, its tables as Parquet, and a Croissant description that loaders read."""
    from panic_hpc.store.exports.crate import Description
    from panic_hpc.store.exports.croissant import export_croissant

    about = Description(title, tuple(author), description, licence, publisher)
    _print(export_croissant(dataset_path(source), output, about, url), as_json)


def _parts(dataset: Path, output: Path, limit: int) -> list[Path]:
    """Return the dataset, or its parts, made in `output`, where it is larger than the limit."""
    if not limit or dataset.stat().st_size <= limit:
        return [dataset]
    from panic_hpc.merging.split import split

    with count_bar("parts") as report:
        return split(dataset, output, limit, report)


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _bytes(size: str) -> int:
    """Return a size such as 45GB in bytes, 0 for ""."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?B)?", size.strip().upper())
    if size and not found:
        raise typer.BadParameter(f"{size!r} is no size; write 45GB", param_hint="--max-file")
    return int(float(found[1]) * _UNITS[found[2] or ""]) if found else 0


def _print(paths: list[Path], as_json: bool) -> None:
    if as_json:
        say_json([str(path) for path in paths])
        return
    for path in paths:
        say(f"{path}  {size(path.stat().st_size)}")
