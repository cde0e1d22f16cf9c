"""What a report says of energy: sums of what shards recorded, and nothing where none did."""

from dataclasses import replace

import pytest

from panic_hpc.report.page.work import WorkedShard, _energy_of, energy_sentence

SHARD = WorkedShard("runs", "", "node", 0.0, 3600.0, 4, True)


def test_energy_is_summed_with_its_grid() -> None:
    measured = replace(SHARD, joules=360_000.0, grid=400.0)
    assert energy_sentence([measured, measured, SHARD]) == (
        "200 Wh of GPUs in 2 of 3 shards, by the counters of whole cards: "
        "80 g of CO2 equivalent by the grid."
    )
    assert "no grid intensity" in energy_sentence([replace(measured, grid=None)])
    assert energy_sentence([SHARD]) == "none of the shards recorded any."


@pytest.mark.parametrize("told", [None, [], {"joules": "many"}, {"joules": -1}, {"missing": "x"}])
def test_headers_of_strangers_break_nothing(told: object) -> None:
    assert _energy_of(told) == {"joules": None, "grid": None}
