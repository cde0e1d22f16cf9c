"""Checks of the content: digests, the content key, texts and images."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from panic_hpc.pictures.stored import decoded, pixel_digest
from panic_hpc.store.checks.sampling import Sample
from panic_hpc.store.dataset.metadata import read_metadata, read_shard_texts
from panic_hpc.store.format.digest import dataset_content_key, run_digests, run_lines
from panic_hpc.store.format.header import DATASET
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.results.base import DIGEST, Problem, part_label
from panic_hpc.store.results.section import digest_names, sections

GROUP_TEXTS = 4096


def digest_problems(file: ArrayFile, sample: Sample) -> Iterator[Problem]:
    """Yield runs whose digest is not that of their content."""
    for section in sections(file):
        name = section.place(DIGEST.name)
        stored = file.whole(name).tolist()
        for run, digest in run_digests(section, lambda run: sample.takes("run", run)):
            if stored[run] and digest.encode() != stored[run]:
                sentence = f"{name} of run {run} is not the digest of its content {section.model}"
                yield "D01", sentence.strip()


def content_key_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield whether the content key in the header is another than that of keys and digests."""
    metadata = read_metadata(file)
    model_keys = {"": "", **{model["name"]: model["key"] for model in metadata["models"]}}
    # Of stages unknown here too: the key covers all that was merged.
    digests = {
        part_label(stage, model_keys[model]): file.array(name)
        for name, stage, model in digest_names(file)
        if model in model_keys
    }
    found = dataset_content_key(run_lines(file.array("runs/key"), digests))
    if found != file.header.get("content_key"):
        yield "D02", f"the content key is {found}, the header says {file.header.get('content_key')}"


def text_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield texts that are not UTF-8."""
    for name in file.entries:
        group, _, column = name.rpartition("/")
        if column == "offsets" and group.rpartition("/")[2] in (
            "texts",
            "reasons",
            "failures",
            "prompts",
        ):
            yield from _text_problems(file, group)


def _text_problems(file: ArrayFile, group: str) -> Iterator[Problem]:
    n_texts = file.rows(f"{group}/offsets") - 1
    for first in range(0, n_texts, GROUP_TEXTS):
        last = min(first + GROUP_TEXTS, n_texts)
        offsets = file.slice(f"{group}/offsets", first, last + 1)
        values = file.slice(f"{group}/values", int(offsets[0]), int(offsets[-1])).tobytes()
        edges = (offsets - offsets[0]).tolist()
        for row in range(last - first):
            try:
                values[edges[row] : edges[row + 1]].decode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                yield "D04", f"{group} has no UTF-8 text in row {first + row} ({error.reason})"


def image_problems(file: ArrayFile, sample: Sample) -> Iterator[Problem]:
    """Yield images that cannot be decoded."""
    if "images/offsets" not in file or n_undecoded(file):
        return
    offsets = file.slice("images/offsets", 0, file.rows("images/offsets"))
    for row in range(len(offsets) - 1):
        if sample.takes("image", row):
            content = file.slice("images/values", int(offsets[row]), int(offsets[row + 1]))
            if reason := undecodable(content.tobytes()):
                yield "D03", f"images has a row {row} that cannot be decoded ({reason})"


def prompt_picture_problems(file: ArrayFile) -> Iterator[Problem]:
    """Yield pictures of prompts that are not what their digest says."""
    if "pictures/key" not in file or find_spec("PIL") is None:
        return
    offsets = file.array("pictures/offsets")
    for row, digest in enumerate(file.array("pictures/key").tolist()):
        content = file.slice("pictures/values", int(offsets[row]), int(offsets[row + 1]))
        try:
            found = pixel_digest(decoded(content.tobytes()))
        except ValueError as error:
            yield "D03", f"pictures has a row {row} that cannot be decoded ({error})"
        else:
            if found.encode() != digest:
                yield "D01", f"pictures/key of row {row} is not the digest of its pixels"


def n_undecoded(file: ArrayFile) -> int:
    """Return how many pictures nothing here can decode: all of them, or none."""
    if "images/offsets" not in file or find_spec("PIL") is not None:
        return 0
    return file.rows("images/offsets") - 1


def not_repeatable(file: ArrayFile) -> tuple[str, ...]:
    """Return the names of models whose shards say that they may answer otherwise another day."""
    told = read_shard_texts(file) if file.kind == DATASET else [file.header]
    models = {
        name: model
        for text in told
        for name, model in _table(_table(text, "provenance"), "models").items()
    }
    passing = (n for n, one in models.items() if _table(one, "loaded").get("repeatable") is False)
    return tuple(sorted(passing))


def _table(value: Any, key: str) -> Mapping[str, Any]:
    """Return the table under a key, empty where there is none: what shards say is free."""
    inner = value.get(key) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def undecodable(content: bytes) -> str:
    """Return why an image cannot be decoded, "" where it can."""
    try:
        decoded(content)
    except ValueError as error:
        return str(error)
    return ""
