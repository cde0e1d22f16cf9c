"""A film of a dataset: a mosaic of its runs over steps, encoded by PyAV."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc.disk.overwriting import admit
from panic_hpc.disk.publish import replacing
from panic_hpc.errors import PanicError, nearest
from panic_hpc.report.mosaic import frames
from panic_hpc.report.mosaic_layout import (
    Layout,
    NetworkBand,
    PromptTiles,
    Tile,
    Timeline,
    lay_out,
)
from panic_hpc.store.checks.sound import require_sound
from panic_hpc.store.format.references import require_there

if TYPE_CHECKING:
    from PIL.Image import Image

    from panic_hpc.store.dataset.dataset import Dataset

SIZES = {
    "hd": (1280, 720),
    "full-hd": (1920, 1080),
    "2k": (2560, 1440),
    "4k": (3840, 2160),
    "8k": (7680, 4320),
}
CODECS = {"av1": "libsvtav1", "h264": "libx264", "vp9": "libvpx-vp9"}
_OPTIONS = {
    "av1": {"preset": "8", "crf": "18"},
    "h264": {"preset": "medium", "crf": "18"},
    "vp9": {"crf": "18", "b": "0", "row-mt": "1"},
}
FORMATS = {".mp4": "mp4", ".webm": "webm", ".mkv": "matroska"}
MAX_FPS = 120
_BT709 = 1

Report = Callable[[int, int], None]


def export_video(
    dataset: "Dataset",
    path: Path,
    *,
    size: str = "full-hd",
    fps: int = 4,
    codec: str = "av1",
    every: int = 1,
    network: int | str | None = None,
    prompt: int | str | None = None,
    force: bool = False,
    report: Report = lambda done, total: None,
) -> int:
    """Write a film with a frame for every `every`-th step that has pictures; return how many.

    Runs stand by network, then prompt, then seed. `size` is a name of SIZES or `WIDTHxHEIGHT` in
    even pixels, `fps` frames, so steps, a second, `codec` av1, h264 or vp9; the ending of `path`
    names the container: .mp4, .webm or .mkv. The last frame stays for a second. Runs that ended
    early stay as they ended, dimmed; what a loop would have shown goes on, dimmed.

    Raises PanicError for what cannot be: unknown sizes and codecs, no pictures, too many runs for
    the size, an encoder that this PyAV lacks; ModuleNotFoundError without PyAV.
    """
    pixels = parse_size(size)
    _require_sensible(path, fps, codec, every)
    require_sound(dataset.file)
    require_there(dataset.file)
    admit(path, [dataset.path], force=force)
    bands = network_bands(dataset, network, prompt)
    layout = lay_out(bands, pixels)
    steps = shown_steps(bands)[::every]
    if not steps:
        raise PanicError(f"{dataset.path} keeps no pictures of these runs, so there is no film")
    title = f"{dataset.path.name}, content key {dataset.content_key[:8]}"
    painted = frames(bands, layout, steps, dataset.image, title)
    with replacing(path) as stream:
        _encode(stream, path, painted, len(steps), layout, fps, codec, title, report)
    return len(steps)


def parse_size(text: str) -> tuple[int, int]:
    """Return a size as (width, height); PanicError where it is none that films can have."""
    if text in SIZES:
        return SIZES[text]
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    # Colours are stored for squares of two by two; AV1's levels end at 8K.
    if not all(64 <= side <= 8192 and side % 2 == 0 for side in size):
        raise PanicError(
            f"{text!r} is no size of a film",
            hint=f"Sizes: {', '.join(SIZES)}, or WIDTHxHEIGHT in even numbers from 64 to 8192",
        )
    return size


def _require_sensible(path: Path, fps: int, codec: str, every: int) -> None:
    if path.suffix.lower() not in FORMATS:
        raise PanicError(f"{path}: films end in {', '.join(FORMATS)}", hint="Name one with -o")
    if codec not in CODECS:
        raise PanicError(f"There is no codec {codec!r} here. {nearest(codec, CODECS)}".rstrip())
    if path.suffix.lower() == ".webm" and codec == "h264":
        raise PanicError("WebM holds av1 and vp9", hint="Name an .mp4 or .mkv with -o")
    if not 1 <= fps <= MAX_FPS or every < 1:
        raise PanicError(f"A film has 1 to {MAX_FPS} frames a second, of every n-th step from 1")
    encoder = CODECS[codec]
    if encoder not in _av().codecs_available:
        there = ", ".join(name for name, lib in CODECS.items() if lib in _av().codecs_available)
        raise PanicError(
            f"This PyAV has no {encoder} for {codec}", hint=f"It has {there or 'none'}"
        )


def _av() -> Any:
    # Its encoder writes three lines to standard error about each film.
    os.environ.setdefault("SVT_LOG", "1")
    import av

    return av


def network_bands(
    dataset: "Dataset", network: int | str | None, prompt: int | str | None
) -> list[NetworkBand]:
    """Return what a film shows of a dataset: all of it, or a network's or prompt's runs."""
    names, prompts = dataset.networks()["name"].to_list(), dataset.prompt_names()
    found: dict[int, dict[int, list[Tile]]] = {}
    rows = dataset.runs(network=network, prompt=prompt).rows(named=True)
    for row in sorted(rows, key=lambda row: (row["network"], row["prompt"], row["run"])):
        tile = Tile(row["run"], f"seed {row['seed']}", _timeline(dataset, row))
        found.setdefault(row["network"], {}).setdefault(row["prompt"], []).append(tile)
    return [
        NetworkBand(names[n], [PromptTiles(prompts[p], tiles) for p, tiles in of.items()])
        for n, of in found.items()
    ]


def _timeline(dataset: "Dataset", row: dict[str, Any]) -> Timeline:
    steps = tuple(dataset.image_steps(row["run"]))
    return Timeline(steps, row["n_steps"], row["loop_start"], row["loop_length"])


def shown_steps(bands: Sequence[NetworkBand]) -> list[int]:
    """Return the steps at which something changes: pictures, and what loops would have shown."""
    timelines = [t.timeline for band in bands for of in band.prompts for t in of.tiles]
    last = max((timeline.n_steps for timeline in timelines), default=0)
    kept = {step for timeline in timelines for step in timeline.steps}
    # Steps of loops that no other run has: those of a longer one are there.
    first = min(kept, default=last)
    return [s for s in range(first, last) if s in kept or _loops_on(timelines, s)]


def _loops_on(timelines: Sequence[Timeline], step: int) -> bool:
    return any(
        timeline.n_steps <= step and timeline.at(step)[1] == "loop"
        and timeline.at(step) != timeline.at(step - 1)
        for timeline in timelines
    )  # fmt: skip


def _encode(
    target: Any,
    path: Path,
    images: Iterator["Image"],
    n_frames: int,
    layout: Layout,
    fps: int,
    codec: str,
    title: str,
    report: Report,
) -> None:
    av = _av()
    with (
        _ordinary_priority() as keep_ordinary,
        av.open(target, "w", format=FORMATS[path.suffix.lower()]) as container,
    ):
        container.metadata["title"] = title
        stream = container.add_stream(CODECS[codec], rate=fps, options=dict(_OPTIONS[codec]))
        stream.width, stream.height = layout.size
        stream.pix_fmt = "yuv420p"
        _tell_colours(stream.codec_context)
        for place, image in enumerate(images):
            # The last one as often as fills a second: players go black at once.
            for _ in range(fps if place + 1 == n_frames else 1):
                container.mux(stream.encode(_frame(av, image)))
            if place == 0:
                keep_ordinary()
            report(place + 1, n_frames)
        container.mux(stream.encode())


@contextmanager
def _ordinary_priority() -> Iterator[Callable[[], None]]:
    """Give what undoes a change of this process's scheduling; called in the end too.

    Started by root, SVT-AV1 takes the highest real-time priority for the thread that opens it and
    for its own: nothing else would run on the machine until this process ends.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)

    def undo() -> None:
        for thread in os.listdir("/proc/self/task"):
            # It may have ended by now.
            with suppress(ProcessLookupError, PermissionError):
                if os.sched_getscheduler(int(thread)) == os.SCHED_FIFO != policy:
                    os.sched_setscheduler(int(thread), policy, priority)

    try:
        yield undo
    finally:
        undo()


def _frame(av: Any, image: "Image") -> Any:
    frame = av.VideoFrame.from_image(image)
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def _tell_colours(context: Any) -> None:
    """Say which matrix turns the film's colours into those of a screen; players guess otherwise."""
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    # Limited range, as every player expects of a film.
    context.color_range = 1
