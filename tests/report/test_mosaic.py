"""Mosaics of runs: where everything stands, and what a run shows once it has ended."""

import numpy as np
import pytest

from panic_hpc.errors import PanicError
from panic_hpc.report.mosaic import PAPER, cut, frames
from panic_hpc.report.mosaic_layout import NetworkBand, PromptTiles, Tile, Timeline, lay_out

GOES_ON = Timeline((0, 2, 4, 6), 8)


def bands(n_networks: int, n_prompts: int, n_runs: int) -> list[NetworkBand]:
    numbers = iter(range(10**6))
    return [
        NetworkBand(
            f"Painter {n} → Teller",
            [
                PromptTiles(
                    f"prompt {p}",
                    [Tile(next(numbers), f"seed {s}", GOES_ON) for s in range(n_runs)],
                )
                for p in range(n_prompts)
            ],
        )
        for n in range(n_networks)
    ]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 4, 2), (3, 7, 5), (1, 1, 400), (40, 3, 1)])
@pytest.mark.parametrize("size", [(1280, 720), (7680, 4320), (720, 1280)])
def test_squares_lie_within_the_frame_and_none_on_another(
    shape: tuple[int, int, int], size: tuple[int, int]
) -> None:
    asked = bands(*shape)
    layout = lay_out(asked, size)
    taken = np.zeros(size[::-1], int)
    for x, y in layout.tiles.values():
        assert min(x, y) >= 0
        assert x + layout.side <= size[0]
        assert y + layout.side <= size[1]
        taken[y : y + layout.side, x : x + layout.side] += 1
    assert len(layout.tiles) == np.prod(shape)
    assert taken.max() == 1
    # Above each square stand the titles of its network and prompt.
    told = [title for *_, title, _ in layout.titles]
    assert told.count("prompt 0") == shape[0]


def test_larger_frames_have_larger_squares() -> None:
    asked = bands(2, 4, 2)
    assert lay_out(asked, (7680, 4320)).side > 3.5 * lay_out(asked, (1920, 1080)).side


def test_too_many_runs_are_refused_and_none_too() -> None:
    with pytest.raises(PanicError, match="40000 runs do not fit into 1280 by 720 pixels"):
        lay_out(bands(1, 100, 400), (1280, 720))
    with pytest.raises(PanicError, match="no runs"):
        lay_out([], (1280, 720))


def test_a_run_that_stopped_shows_its_last_picture_and_a_loop_its_loop() -> None:
    stopped = Timeline((0, 2), 3)
    assert [stopped.at(step) for step in (0, 1, 2, 3, 90)] == [
        (0, ""), (0, ""), (2, ""), (2, "ended"), (2, "ended"),
    ]  # fmt: skip
    # Steps 2 to 5 again and again; step 6 was equal to step 2.
    loops = Timeline((0, 2, 4, 6), 7, loop_start=2, loop_length=4)
    assert [loops.at(step)[0] for step in range(7, 16)] == [2, 4, 4, 2, 2, 4, 4, 2, 2]
    assert {loops.at(step)[1] for step in range(7, 16)} == {"loop"}
    nothing = Timeline((), 0)
    assert nothing.at(5) == (None, "ended")
    late = Timeline((1,), 2)
    assert late.at(0) == (None, "")


def test_a_loop_without_pictures_shows_the_last_one() -> None:
    thinned = Timeline((0,), 7, loop_start=2, loop_length=4)
    assert thinned.at(20) == (0, "ended")


def test_frames_show_each_runs_picture_of_the_step() -> None:
    colours = {(0, 0): 250, (0, 2): 200, (1, 0): 150}
    tiles = [
        Tile(0, "seed 0", Timeline((0, 2), 6)),
        Tile(1, "seed 1", Timeline((0,), 2)),
        Tile(2, "seed 2", Timeline((), 0)),
    ]
    asked = [NetworkBand("n", [PromptTiles("p", tiles)])]
    layout = lay_out(asked, (640, 360))

    def picture(run: int, step: int) -> np.ndarray:
        return np.full((8, 8, 3), colours[run, step], np.uint8)

    shown = []
    for frame in frames(asked, layout, [0, 2, 4], picture):
        middles = [(x + layout.side // 3, y + layout.side // 3) for x, y in layout.tiles.values()]
        pixels = np.asarray(frame)
        shown.append([int(pixels[y, x, 0]) for x, y in middles])
    paper = PAPER[0]
    dimmed = round(150 + (paper - 150) * 0.55)
    assert shown == [
        [250, 150, paper],
        [200, pytest.approx(dimmed, abs=1), paper],
        [200, pytest.approx(dimmed, abs=1), paper],
    ]


def test_titles_are_cut_to_their_place() -> None:
    assert cut("short", 200, 12) == "short"
    assert cut("two\nlines", 200, 12) == "two lines"
    long = cut("word " * 20_000, 100, 12)
    assert long.endswith("…")
    assert len(long) < 30
    assert cut("anything", 1, 12) == ""
