"""The pictures are looked at as pixels and as sizes; how they please the eye was judged by eye."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panic_hpc.errors import PanicError
from panic_hpc.report.contact_sheet import (
    CAPTION_LINES,
    GAP,
    HEADER,
    THUMBNAIL,
    TITLE_WIDTH,
    Cell,
    Strip,
    contact_sheet,
    every_nth,
    wrapped,
)
from panic_hpc.report.overview import continued
from panic_hpc.report.persistence_diagram import frame_of, multiplicities, persistence_diagram

INFINITE = np.array([[0.0, np.inf]])
EMPTY = np.zeros((0, 2))


def flat(*colour: int) -> np.ndarray:
    return np.full((32, 32, 3), colour, dtype=np.uint8)


def seen(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def centre_of(column: int, top: int = HEADER) -> tuple[int, int]:
    return TITLE_WIDTH + GAP + column * (THUMBNAIL + GAP) + THUMBNAIL // 2, top + THUMBNAIL // 2


def test_every_picture_stands_in_its_step_s_column(tmp_path: Path) -> None:
    cells = [Cell(0, flat(255, 0, 0), "red"), Cell(2, flat(0, 0, 255), "blue")]
    sheet = seen(contact_sheet([Strip("run 0", cells)], tmp_path / "sheet.png"))
    assert sheet.getpixel(centre_of(0)) == (255, 0, 0)
    assert sheet.getpixel(centre_of(1)) == (0, 0, 255)


def test_a_run_that_ended_early_leaves_its_later_columns_empty(tmp_path: Path) -> None:
    long = Strip("long", [Cell(s, flat(0, 255, 0)) for s in range(3)])
    short = Strip("short", [Cell(0, flat(255, 0, 0))])
    sheet = seen(contact_sheet([short, long], tmp_path / "sheet.png"))
    x, y = centre_of(2)
    assert sheet.getpixel((x + 20, y + 20)) == (255, 255, 255)
    second_row = sheet.height - GAP - (THUMBNAIL + 4 + GAP)
    assert sheet.getpixel(centre_of(2, second_row)) == (0, 255, 0)


def test_a_run_that_stopped_on_a_loop_goes_on_in_pale(tmp_path: Path) -> None:
    cells = [Cell(0, flat(9, 9, 9)), Cell(2, flat(255, 0, 0)), Cell(4, flat(0, 0, 255))]
    whole = continued(cells, loop_start=2, loop_length=4, length=11)
    assert [(cell.step, cell.repeats) for cell in whole[3:]] == [(6, 2), (8, 4), (10, 2)]
    sheet = seen(contact_sheet([Strip("loops", whole)], tmp_path / "sheet.png"))
    assert sheet.getpixel(centre_of(1)) == (255, 0, 0)
    red, green, blue = (int(part) for part in np.asarray(sheet)[centre_of(3)[::-1]])
    assert red == 255
    assert 150 < green == blue < 255
    assert continued(cells, loop_start=-1, loop_length=0, length=11) == cells


def test_many_steps_are_thinned_to_every_nth() -> None:
    assert every_nth(range(0, 80, 2), 10) == list(range(0, 80, 8))
    assert every_nth(range(5), 10) == [0, 1, 2, 3, 4]
    assert len(every_nth(range(101), 10)) <= 10


def test_a_long_run_makes_a_sheet_of_bounded_width(tmp_path: Path) -> None:
    strip = Strip("run", [Cell(s, flat(9, 9, 9), "a caption") for s in range(1000)])
    sheet = seen(contact_sheet([strip], tmp_path / "sheet.png", most_columns=8))
    assert sheet.width <= TITLE_WIDTH + 8 * (THUMBNAIL + GAP) + GAP


def test_a_caption_is_wrapped_and_never_silently_cut() -> None:
    caption = "there are two large yellow crosses at the top " * 8
    lines = wrapped(caption, THUMBNAIL, CAPTION_LINES)
    assert len(lines) == CAPTION_LINES
    assert lines[-1].endswith("…")
    assert wrapped("two red circles", 10_000, 3) == ["two red circles"]
    assert wrapped("x" * 500, THUMBNAIL, 3)[0].endswith("…")
    assert wrapped("", THUMBNAIL, 3) == []
    cell = wrapped("strength-1.0.layers-0_1_2.gate-mahalanobis", THUMBNAIL, 3)
    assert cell == ["strength-1.0.", "layers-0_1_2.", "gate-mahalanobis"]


def test_large_and_oblong_pictures_fit_their_place(tmp_path: Path) -> None:
    wide = np.zeros((100, 1000, 3), dtype=np.uint8)
    wide[..., 1] = 255
    sheet = seen(contact_sheet([Strip("run", [Cell(0, wide)])], tmp_path / "sheet.png"))
    x, y = centre_of(0)
    assert sheet.getpixel((x, y)) == (0, 255, 0)
    assert sheet.getpixel((x, y - THUMBNAIL // 3)) == (255, 255, 255)


def test_a_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PanicError, match="no pictures"):
        contact_sheet([], tmp_path / "sheet.png")
    with pytest.raises(PanicError, match="no pictures"):
        contact_sheet([Strip("run", [])], tmp_path / "sheet.png")


@pytest.mark.parametrize(
    "dgms",
    [
        [],
        [EMPTY, EMPTY],
        [INFINITE],
        [np.array([[3.0, 3.0]])],
        [np.zeros((5, 2)), EMPTY],
        [np.concatenate([INFINITE] * 4), EMPTY, np.array([[1e-12, 2e-12]])],
        [np.array([[1e30, 2e30]], dtype=np.float32)],
    ],
    ids=["no dimensions", "empty", "all infinite", "one point", "zeros", "tiny", "huge"],
)
def test_every_kind_of_diagram_is_drawn(dgms: list[np.ndarray], tmp_path: Path) -> None:
    image = seen(persistence_diagram(dgms, tmp_path / "diagram.png", title="a run"))
    assert len(image.getcolors(maxcolors=100_000) or []) > 2


def test_equal_bars_are_one_point_with_their_number() -> None:
    points, counts = multiplicities(np.array([[0, 1], [0, 2], [0, 1], [0, np.inf], [0, np.inf]]))
    assert points.tolist() == [[0, 1], [0, 2], [0, np.inf]]
    assert counts.tolist() == [2, 1, 2]


def test_the_frame_holds_every_finite_value_below_the_line_of_infinity() -> None:
    frame = frame_of([np.array([[-2.0, 5.0], [0.0, np.inf]])])
    assert frame.low < -2.0
    assert 5.0 < frame.infinity < frame.high
    assert frame_of([INFINITE]).low < 0.0 < frame_of([INFINITE]).infinity


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [0.0, np.nan], [np.inf, np.inf], [0.0, -np.inf]])
def test_bars_that_are_no_bars_are_refused(bad: list[float], tmp_path: Path) -> None:
    with pytest.raises(PanicError, match="H1"):
        persistence_diagram([EMPTY, np.array([bad])], tmp_path / "diagram.png")


@pytest.mark.parametrize("title", ["$5 and $\\frac{", "🦊 " * 9, "word " * 9_000, "a\nb\n" * 99])
def test_any_prompt_can_be_a_title(title: str, tmp_path: Path) -> None:
    plain = seen(persistence_diagram([INFINITE], tmp_path / "plain.png"))
    titled = seen(persistence_diagram([INFINITE], tmp_path / "titled.png", title=title))
    assert titled.size == plain.size
    assert titled.tobytes() != plain.tobytes()


def test_drawing_leaves_no_style_behind(tmp_path: Path) -> None:
    from matplotlib import rcParams

    before = dict(rcParams)
    persistence_diagram([INFINITE], tmp_path / "diagram.png")
    assert dict(rcParams) == before


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    strip = Strip("run", [Cell(0, flat(1, 2, 3), "one red circle")])
    a, b = (contact_sheet([strip], tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert a == b
