"""Family trees: everybody is drawn with a picture, few lines cross, a graph says the same."""

import io
from pathlib import Path

import networkx
import numpy as np
import pytest
from PIL import Image

from panic_hpc.errors import PanicError
from panic_hpc.report.family_tree import Member, family_graphml, family_tree, ordered_rows

RED = np.full((8, 8, 3), (255, 0, 0), np.uint8)
FAMILY = [
    Member("Ada", 0, image=RED),
    Member("Bo", 0),
    Member("Cy", 1, ("Ada", "Bo"), "1.5", RED),
    Member("Dee", 2, ("Cy", "gone"), "2.5", RED),
]


def test_everybody_with_a_picture_is_in_it(tmp_path: Path) -> None:
    path = family_tree(FAMILY, tmp_path / "tree.png")
    pixels = np.asarray(Image.open(path))
    n_red = int((pixels == (255, 0, 0)).all(axis=2).sum())
    assert n_red == 3 * 128 * 128
    assert family_tree(FAMILY, tmp_path / "again.png").read_bytes() == path.read_bytes()


def test_rows_are_ordered_so_that_lines_need_not_cross() -> None:
    above = [Member(name, 0) for name in "abcd"]
    below = [Member(f"{name}2", 1, (name,)) for name in "dbca"]
    rows = ordered_rows([*above, *below])
    assert [one.id[0] for one in rows[0]] == [one.id[0] for one in rows[1]]


def test_a_family_that_no_picture_can_show_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PanicError, match=r"fewer generations, or for a \.graphml"):
        family_tree([Member(str(k), 0) for k in range(200)], tmp_path / "tree.png")


def test_a_graph_has_its_edges_from_parents_to_children() -> None:
    text = family_graphml(FAMILY, {"Cy": {"text": "a fox <&>"}})
    graph = networkx.read_graphml(io.BytesIO(text))
    assert set(graph.edges) == {("Ada", "Cy"), ("Bo", "Cy"), ("Cy", "Dee")}
    assert graph.nodes["Cy"]["text"] == "a fox <&>"
    assert graph.nodes["Dee"]["round"] == 2
