"""A dataset with what a repository asks for: README, licence, citation, checksums, metadata."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.disk.copying import copy_range
from panic_hpc.disk.directories import make_any_directory
from panic_hpc.disk.files import replace_file, to_json
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.disk.publish import replacing
from panic_hpc.errors import PanicError
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.metadata import read_shard_texts
from panic_hpc.store.exports import crate_texts
from panic_hpc.store.format.file_digest import digest_path
from panic_hpc.store.format.references import require_whole

PROCESS_RUN_CRATE = "https://w3id.org/ro/wfrun/process/0.5"
_WRITTEN = (
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "datacite.json",
    "ro-crate-metadata.json",
    "SHA256SUMS",
)
_AUTHOR = 'For example --title "Wandering loops" --author "Doe, Jane"'
_PIECE_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Description:
    """What people say of a dataset; authors are `Family, Given` or `Family, Given <ORCID>`."""

    title: str
    authors: tuple[str, ...]
    text: str = ""
    licence: str = "CC-BY-4.0"
    publisher: str = ""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """When a stage's shards were made: seconds since 1970, and how many there are."""

    stage: str
    started: float
    ended: float
    n_shards: int


def require_described(about: Description) -> None:
    """Raise PanicError where title, authors or licence are none that a repository takes."""
    if not about.authors:
        raise PanicError("A crate needs an author", hint=_AUTHOR)
    for noun, text in (("title", about.title), *(("author", one) for one in about.authors)):
        if not text.strip(" ,<>") or not text.isprintable():
            raise PanicError(f"{text!r} is no {noun}: one line of text was expected", hint=_AUTHOR)
    if (canonical := _spdx(about.licence)) != about.licence:
        raise PanicError(
            f"{about.licence!r} is no SPDX identifier of a licence",
            hint=f"Did you mean {canonical}?" if canonical else "For example CC-BY-4.0 or CC0-1.0",
        )


def _spdx(licence: str) -> str:
    """Return a licence's identifier as SPDX writes it, "" where there is none."""
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError as error:
        raise PanicError(
            "Crates need packaging", hint="pip install 'panic-hpc[publish]'"
        ) from error
    try:
        return canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        return ""


def export_crate(data: Sequence[Path], directory: Path, about: Description) -> list[Path]:
    """Put datasets, unless they are there, and their metadata into `directory`; return the files.

    PanicError where rocrate is missing, nobody is named as author, or a file is there already.
    """
    require_described(about)
    for name in _WRITTEN:
        admit(directory / name, data)
    for path in data:
        with Dataset(path) as dataset:
            require_sound(dataset.file)
            # A crate is for those who do not have the shards.
            require_whole(dataset.file)
    copies = [copy_file(path, directory / path.name) for path in data]
    with Dataset(copies[0]) as dataset:
        texts = {
            "README.md": crate_texts.readme(dataset, about, [path.name for path in copies]),
            "LICENSE": crate_texts.licence(about.licence),
            "CITATION.cff": crate_texts.citation(dataset, about),
            "datacite.json": to_json(crate_texts.datacite(dataset, about, copies)).decode(),
            "ro-crate-metadata.json": json.dumps(ro_crate(dataset, about, copies), indent=2),
        }
    for name, text in texts.items():
        replace_file(directory / name, text.encode())
    replace_file(directory / "SHA256SUMS", checksums(directory).encode())
    return sorted(directory.iterdir())


def require_empty(directory: Path, inputs: Sequence[Path] = ()) -> None:
    """Create a directory; PanicError where there is one with something in it."""
    # Before the other: nothing makes a crate be written over something.
    if directory.is_dir() and any(directory.iterdir()):
        raise PanicError(f"{directory} is not empty", hint="Name a new directory")
    admit_directory(directory, inputs)
    make_any_directory(directory)


def copy_file(source: Path, target: Path) -> Path:
    """Copy a dataset and its digest file, sharing their blocks where the file system can."""
    if source == target:
        return target
    for path, place in ((source, target), (digest_path(source), digest_path(target))):
        admit(place, [path])
        if path.exists():
            with path.open("rb") as stream, replacing(place) as out:
                size = os.fstat(stream.fileno()).st_size
                copy_range(stream.fileno(), 0, out.fileno(), 0, size, str(path))
    return target


def checksums(directory: Path) -> str:
    """Return lines that `sha256sum -c` understands, of all files in a folder."""
    lines = []
    for path in sorted(directory.iterdir()):
        if path.name != "SHA256SUMS" and not path.name.startswith("."):
            hasher = hashlib.sha256()
            with path.open("rb") as stream:
                while piece := stream.read(_PIECE_BYTES):
                    hasher.update(piece)
            lines.append(f"{hasher.hexdigest()}  {path.name}\n")
    return "".join(lines)


def stage_times(dataset: Dataset) -> Iterator[StageTimes]:
    """Yield when each stage was worked on, as far as its shards say."""
    stages = [stage.decode() for stage in dataset.file.array("shards/stage").tolist()]
    texts = read_shard_texts(dataset.file)
    for stage in dict.fromkeys(stages):
        own = [
            text["provenance"] for text, name in zip(texts, stages, strict=True) if name == stage
        ]
        started = [one["started"] for one in own if _is_time(one.get("started"))]
        ended = [one["ended"] for one in own if _is_time(one.get("ended"))]
        if started and ended:
            yield StageTimes(stage, min(started), max(ended), len(own))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < 2**40


def ro_crate(dataset: Dataset, about: Description, files: Sequence[Path]) -> Any:
    """Return the RO-Crate metadata: a Process Run Crate with one action a stage."""
    try:
        from rocrate.model import ContextEntity, Person
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise PanicError("A crate needs rocrate", hint="pip install rocrate") from error
    crate = ROCrate()
    crate.name = about.title
    crate.description = crate_texts.summary(dataset, about)
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    crate.root_dataset["conformsTo"] = crate.add(
        ContextEntity(crate, PROCESS_RUN_CRATE, properties=profile)
    )
    people = [crate.add(Person(crate, *_person(author))) for author in about.authors]
    crate.root_dataset["author"] = people
    crate.root_dataset["license"] = crate.add(
        ContextEntity(crate, crate_texts.licence_url(about.licence), properties={
            "@type": "CreativeWork", "name": about.licence, "description": about.licence})
    )  # fmt: skip
    if about.publisher:
        crate.publisher = crate.add(
            ContextEntity(crate, "#publisher", properties={
                "@type": "Organization", "name": about.publisher})
        )  # fmt: skip
    data = [_add_file(crate, path, dataset) for path in files]
    software = crate.add(ContextEntity(crate, "#panic-hpc", properties={
        "@type": "SoftwareApplication", "name": "panic-hpc",
        "softwareVersion": str(dataset.metadata["software"])}))  # fmt: skip
    actions = [_add_action(crate, times, software, data) for times in stage_times(dataset)]
    crate.root_dataset["mentions"] = actions
    return crate.metadata.generate()


def _person(author: str) -> tuple[str, Mapping[str, str]]:
    name, _, rest = author.partition("<")
    orcid = rest.rstrip("> ").strip()
    place = f"https://orcid.org/{orcid}" if orcid else f"#{name.strip().replace(' ', '-')}"
    return place, {"name": name.strip()}


def _add_file(crate: Any, path: Path, dataset: Dataset) -> Any:
    return crate.add_file(
        path,
        path.name,
        properties={
            "name": path.name,
            "description": f"Dataset in HDF5, content key {dataset.content_key}",
            "encodingFormat": "application/x-hdf5",
            "contentSize": str(path.stat().st_size),
        },
    )


def _add_action(crate: Any, times: StageTimes, software: Any, data: Sequence[Any]) -> Any:
    from rocrate.model import ContextEntity

    return crate.add(
        ContextEntity(
            crate,
            f"#{times.stage}",
            properties={
                "@type": "CreateAction",
                "name": f"Stage {times.stage}: {times.n_shards} shards",
                "instrument": {"@id": software.id},
                "startTime": _moment(times.started),
                "endTime": _moment(times.ended),
                "result": [{"@id": one.id} for one in data],
            },
        )
    )


def _moment(seconds: float) -> str:
    return clock.utc(seconds).isoformat(timespec="seconds")
