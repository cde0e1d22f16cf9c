"""Films of datasets: what a player decodes is what the runs showed at each step."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import synthetic
from typer.testing import CliRunner

import panic_hpc
from panic_hpc.cli.datasets.export import export
from panic_hpc.errors import PanicError
from panic_hpc.report.mosaic_layout import lay_out
from panic_hpc.report.video import export_video, network_bands, parse_size, shown_steps

av = needs.library("av", "video")
needs.library("polars", "analysis")
SIZE = "640x360"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of runs of one to nine steps, some of which failed."""
    root = tmp_path_factory.mktemp("video")
    return synthetic.pictured(root)


def decoded(film: Path) -> tuple[Any, list[np.ndarray]]:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        told = (stream.codec_context.name, stream.width, stream.height, int(stream.average_rate))
        return told, [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


@pytest.mark.parametrize(
    ("codec", "name"), [("av1", "a.mp4"), ("h264", "a.mkv"), ("vp9", "a.webm")]
)
def test_every_codec_shows_the_pictures_of_each_step(
    path: Path, tmp_path: Path, codec: str, name: str
) -> None:
    film, told = tmp_path / name, []
    with panic_hpc.open(path) as dataset:
        n_frames = export_video(
            dataset, film, size=SIZE, fps=5, codec=codec, report=lambda *done: told.append(done)
        )
        bands = network_bands(dataset, None, None)
        layout, steps = lay_out(bands, parse_size(SIZE)), shown_steps(bands)
        about, shown = decoded(film)
        assert about[1:] == (640, 360, 5)
        assert told[-1] == (n_frames, n_frames) == (len(steps), len(steps))
        # The last frame fills a second.
        assert len(shown) == n_frames + 4
        for place, step in enumerate(steps):
            for tile in (t for band in bands for of in band.prompts for t in of.tiles):
                source, mark = tile.timeline.at(step)
                if source is None or mark:
                    continue
                x, y = layout.tiles[tile.run]
                square = shown[place][y : y + layout.side, x : x + layout.side].mean()
                wanted = dataset.image(tile.run, source).mean() * 0.8
                # Noise of 4 by 5 pixels within an edge: its mean survives what codecs lose.
                assert abs(square - wanted) < 40, (step, tile.run)


def test_an_encoder_leaves_the_priority_of_this_process_as_it_was(
    path: Path, tmp_path: Path
) -> None:
    """Started by root, SVT-AV1 gives itself and its caller the highest real-time priority."""
    before = os.sched_getscheduler(0)
    seen: set[int] = set()

    def look(done: int, total: int) -> None:
        for thread in os.listdir("/proc/self/task"):
            # Others' threads may end between the two looks.
            with suppress(ProcessLookupError):
                seen.add(os.sched_getscheduler(int(thread)))

    with panic_hpc.open(path) as dataset:
        export_video(dataset, tmp_path / "a.mp4", size=SIZE, report=look)
    assert seen == {before}
    assert os.sched_getscheduler(0) == before


def test_one_network_and_every_second_step(path: Path, tmp_path: Path) -> None:
    with panic_hpc.open(path) as dataset:
        whole = export_video(dataset, tmp_path / "a.mp4", size=SIZE)
        half = export_video(dataset, tmp_path / "b.mp4", size=SIZE, every=2, network=0)
        assert half <= (whole + 1) // 2
        assert [len(network_bands(dataset, n, None)) for n in (None, 0)] == [2, 1]
        assert len(network_bands(dataset, 0, 1)[0].prompts) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a.avi": ({}, "films end in .mp4"),
    "a.webm": ({"codec": "h264"}, "WebM holds av1 and vp9"),
    "b.mp4": ({"codec": "av2"}, "no codec 'av2'.*av1"),
    "c.mp4": ({"size": "1281x720"}, "no size of a film"),
    "d.mp4": ({"size": "huge"}, "no size of a film"),
    "e.mp4": ({"fps": 0}, "1 to 120 frames"),
    "f.mp4": ({"size": "64x64"}, "12 runs do not fit"),
    "g.mp4": ({"network": "none"}, "none"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    path: Path, tmp_path: Path, name: str
) -> None:
    options, told = WRONG[name]
    with panic_hpc.open(path) as dataset, pytest.raises(PanicError, match=told):
        export_video(dataset, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_runs_without_pictures_make_no_film(tmp_path: Path) -> None:
    from panic_hpc.analysis.simulation.dataset import write_dataset
    from panic_hpc.analysis.simulation.planted import Planted

    write_dataset(Planted(prompts=2, networks=1, runs=2, states=4), tmp_path / "s.h5")
    with (
        panic_hpc.open(tmp_path / "s.h5") as dataset,
        pytest.raises(PanicError, match="keeps no pictures"),
    ):
        export_video(dataset, tmp_path / "a.mp4")


def test_a_film_is_replaced_only_when_told(path: Path, tmp_path: Path) -> None:
    film = tmp_path / "a.mp4"
    film.write_bytes(b"mine")
    with panic_hpc.open(path) as dataset:
        with pytest.raises(PanicError, match="would be replaced"):
            export_video(dataset, film, size=SIZE)
        assert film.read_bytes() == b"mine"
        export_video(dataset, film, size=SIZE, force=True)
    assert film.read_bytes() != b"mine"


def test_the_verb_tells_what_it_wrote(path: Path, tmp_path: Path) -> None:
    film = tmp_path / "a.mp4"
    done = CliRunner().invoke(
        export, ["video", str(path), "-o", str(film), "--size", SIZE, "--json"]
    )
    told = json.loads(done.stdout)
    assert told["bytes"] == film.stat().st_size
    assert told["frames"] == len(decoded(film)[1]) - 3


def test_without_pyav_one_sentence_says_what_to_install(path: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['av'] = None\nfrom panic_hpc.cli import main\nmain()"
    verb = ["export", "video", str(path), "-o", str(tmp_path / "a.mp4")]
    done = subprocess.run(
        [sys.executable, "-c", code, *verb], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "This needs av, which is not installed here" in done.stderr
    assert "pip install 'panic-hpc[video]'" in done.stderr
    assert "Traceback" not in done.stderr
