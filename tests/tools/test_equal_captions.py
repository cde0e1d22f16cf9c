"""The table of captions that a lossy codec leaves as they are, made of a few pictures."""

import pytest
from equal_captions import CAPTIONING, DRAWING, QUALITIES, RUNS, table

pytestmark = [pytest.mark.compute, pytest.mark.long]


def test_every_kind_captioner_and_quality_has_a_row() -> None:
    rows = list(table(1))
    kinds = [*DRAWING, "photographs"]
    assert [(one["pictures"], one["by"], one["codec"]) for one in rows] == [
        (kind, captioner, f"avif-{quality}")
        for kind in kinds
        for captioner in CAPTIONING
        for quality in QUALITIES
    ]
    assert all(one["n"] == RUNS and 0 < one["of_lossless"] < 1 for one in rows)
    # Compared with captions of these pictures, not of one picture or of none.
    assert all(one["distinct"] > 1 for one in rows if one["pictures"] != "photographs")
    assert 0 < sum(one["equal"] for one in rows) < len(rows)
