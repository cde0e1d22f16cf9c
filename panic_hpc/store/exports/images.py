"""A dataset's images as files, each of which says what it is."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from panic_hpc.disk.file_names import file_name, file_names, require_within
from panic_hpc.disk.files import offer_file, read_json, to_json
from panic_hpc.disk.overwriting import admit, admit_directory
from panic_hpc.disk.publish import replacing
from panic_hpc.errors import PanicError
from panic_hpc.pictures.stored import pillow_module
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.frames import ARROW
from panic_hpc.store.dataset.outputs import prompt_pictures
from panic_hpc.store.format.references import require_there

FORMATS = ("webp", "png", "jpeg")
# A JPEG's segment has 65,533 bytes, with the rest of its EXIF.
_MOST_EXIF = 60_000
_DESCRIPTION = 0x010E
_SOFTWARE = 0x0131
_OF = "dataset.json"

Report = Callable[[int, int], None]


def export_images(
    dataset: Dataset,
    directory: Path,
    *,
    every: int = 1,
    image_format: str = "webp",
    force: bool = False,
    report: Report = lambda done, total: None,
) -> int:
    """Write every `every`-th image of each run; return how many.

    Files are `network/prompt/run/step`, named by numbers and models, never by prompts; what they
    show (run key, network, prompt, seed, step, model) is JSON in their EXIF description. WebP and
    PNG lose nothing, JPEG is for looking. PanicError for an unknown format or every < 1, and where
    something is in the directory and `force` is not given, or images of another dataset are.
    """
    if image_format not in FORMATS or every < 1:
        raise PanicError(f"Images are written as {', '.join(FORMATS)}, every n-th with n from 1")
    require_sound(dataset.file)
    require_there(dataset.file)
    admit_directory(directory, [dataset.path], force=force)
    _require_one_dataset(directory, dataset.content_key)
    written = 0
    runs = dataset.runs().rows(named=True)
    networks, prompts = dataset.networks()["name"].to_list(), dataset.prompt_names()
    models = file_names(name.replace(ARROW, "+") for name in networks)
    written += _export_inputs(dataset, directory, image_format, force)
    for place, run in enumerate(runs):
        folder = directory / _folder(run, models[networks[run["network"]].replace(ARROW, "+")])
        require_within(folder, directory)
        about = {
            "run": run["key"],
            "network": networks[run["network"]],
            "prompt": prompts[run["prompt"]],
            "seed": run["seed"],
            "content_key": dataset.content_key,
        }
        for step, model in _chosen(dataset, run["run"], every):
            picture = dataset.image(run["run"], step)
            path = folder / f"step_{step:05d}.{image_format}"
            admit(path, [dataset.path], force=force)
            _save(path, picture, {**about, "step": step, "model": model}, image_format)
            written += 1
        report(place + 1, len(runs))
    return written


def _export_inputs(dataset: Dataset, directory: Path, image_format: str, force: bool) -> int:
    """Write the pictures of prompts, `inputs/prompt/role`; return how many there are."""
    n_written, names = 0, dataset.prompt_names()
    for prompt, role, picture in prompt_pictures(dataset.file, dataset.metadata):
        folder = directory / "inputs" / f"prompt_{prompt:05d}"
        path = folder / f"{file_name(role)}.{image_format}"
        require_within(path, directory)
        admit(path, [dataset.path], force=force)
        about = {"prompt": names[prompt], "role": role, "content_key": dataset.content_key}
        _save(path, picture, about, image_format)
        n_written += 1
    return n_written


def _require_one_dataset(directory: Path, key: str) -> None:
    """Say in the directory whose images it holds; PanicError where it holds another dataset's."""
    place = directory / _OF
    # Of two that come at once the first one's stands, and both read it.
    offer_file(place, to_json({"content_key": key}))
    value = read_json(place, limit=_MOST_EXIF)
    other = value.get("content_key") if isinstance(value, dict) else None
    if other != key:
        raise PanicError(
            f"{directory} holds images of another dataset (content key {other!r})",
            hint="Name a new directory with -o",
        )


def _chosen(dataset: Dataset, run: int, every: int) -> Iterator[tuple[int, str]]:
    steps = dataset.image_steps(run)[::every]
    if steps:
        models = dataset.invocations(run)["model"].to_list()
        yield from ((step, models[step]) for step in steps)


def _folder(run: dict[str, Any], models: str) -> Path:
    return (
        Path(f"network_{run['network']:03d}_{models}")
        / f"prompt_{run['prompt']:05d}"
        / f"run_{run['run']:06d}_{file_name(run['key'][:8])}"
    )


def _description(about: dict[str, Any]) -> str:
    """Return what a picture shows as the ASCII that EXIF's description is, in the room it has.

    Of a longer prompt the beginning is kept, and its length.
    """
    text = json.dumps(about, ensure_ascii=True)
    if len(text) <= _MOST_EXIF:
        return text
    prompt = about["prompt"]
    # A character has at most 12 as an escape.
    room = (_MOST_EXIF - len(text) + len(json.dumps(prompt))) // 12 - 10
    cut = {"prompt": prompt[: max(room, 0)], "prompt_characters": len(prompt)}
    return json.dumps({**about, **cut}, ensure_ascii=True)


def _save(path: Path, pixels: Any, about: dict[str, Any], image_format: str) -> None:
    Image = pillow_module()  # noqa: N806
    exif = Image.Exif()
    exif[_DESCRIPTION] = _description(about)
    exif[_SOFTWARE] = "panic-hpc"
    stream = io.BytesIO()
    # PNG ignores the quality.
    options: dict[str, Any] = {"lossless": True} if image_format == "webp" else {"quality": 95}
    Image.fromarray(pixels).save(stream, image_format.upper(), exif=exif, **options)
    # Not synced one by one, which takes longer than encoding; yet a kill leaves no half pictures,
    # and a link at `path` is replaced, never written through.
    with replacing(path, is_durable=False) as file:
        file.write(stream.getvalue())
