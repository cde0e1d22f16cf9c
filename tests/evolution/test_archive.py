"""The archive: a best of each cell, the same from whatever order rounds are read in."""

import random

from panic_hpc.evolution.archive import Specimen, archive_of, cell_of

EDGES = ((0.5, 1.0), (10.0,))


def found(name: str, number: int, fitness: float | None, *kind: float | None) -> Specimen:
    return Specimen(name, number, 0, fitness, kind)


def test_a_value_on_a_limit_is_above_it_and_what_has_none_is_nowhere() -> None:
    assert cell_of((0.4, 9.0), EDGES) == (0, 0)
    assert cell_of((0.5, 10.0), EDGES) == (1, 1)
    assert cell_of((9.0, 0.0), EDGES) == (2, 0)
    assert cell_of((None, 0.0), EDGES) is None
    assert cell_of((float("nan"), 0.0), EDGES) is None


def test_the_best_of_each_cell_is_kept_and_of_equals_the_earliest() -> None:
    seen = [
        found("late", 2, -1.0, 0.7, 0.0),
        found("early", 1, -1.0, 0.7, 0.0),
        found("worse", 0, -2.0, 0.7, 0.0),
        found("alone", 3, 0.0, 2.0, 20.0),
        found("failed", 0, None, 0.1, 0.0),
        found("odd", 0, 9.0, None, 0.0),
    ]
    kept = archive_of(seen, EDGES)
    assert {cell: one.id for cell, one in kept.items()} == {(1, 0): "early", (2, 1): "alone"}
    for seed in range(10):
        mixed = random.Random(seed).sample(seen, len(seen))
        assert archive_of(mixed, EDGES) == kept
        assert list(archive_of(mixed, EDGES)) == sorted(kept)
