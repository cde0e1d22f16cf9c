"""The seeds of runs, those of upstream's unseeded ones too."""

from hashlib import sha256
from typing import Any

import pytest

from panic_hpc.experiment.config import Experiment
from panic_hpc.keys import canonical_json, hash_seed
from panic_hpc.planning import seeds as seeds_module
from panic_hpc.planning.seeds import Seed, expand_seeds


def expanded(small: dict[str, Any], **changes: Any) -> tuple[Seed, ...]:
    table = {key: value for key, value in {**small, **changes}.items() if value is not None}
    return expand_seeds(Experiment.model_validate(table))


def test_seeds_are_taken_as_written(small: dict[str, Any]) -> None:
    assert expanded(small, seeds=[7, 3]) == (Seed(7, unseeded=False), Seed(3, unseeded=False))


@pytest.mark.parametrize("changes", [{"seed_count": 3}, {"num_runs": 3}, {"seeds": [-1, -1, -1]}])
def test_upstreams_three_ways_of_no_seed_are_one(
    small: dict[str, Any], changes: dict[str, Any]
) -> None:
    drawn = expanded(small, **{"seeds": None, **changes})
    assert drawn == tuple(Seed(hash_seed("unseeded", k), unseeded=True) for k in range(3))


def test_without_a_word_there_is_one_unseeded_run(small: dict[str, Any]) -> None:
    assert expanded(small, seeds=None) == expanded(small, seeds=[-1])


def test_unseeded_runs_are_counted_among_themselves(small: dict[str, Any]) -> None:
    mixed = expanded(small, seeds=[5, -1, 6, -1])
    assert [seed.unseeded for seed in mixed] == [False, True, False, True]
    assert mixed[1::2] == expanded(small, seeds=[-1, -1])


def test_two_unseeded_runs_never_share_a_seed(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def narrow(purpose: str, *parts: int) -> int:
        return hash_seed(purpose, *parts) % 64

    monkeypatch.setattr(seeds_module, "hash_seed", narrow)
    drawn = expanded(small, seeds=None, seed_count=50)
    assert len(set(drawn)) == 50
    assert expanded(small, seeds=None, seed_count=20) == drawn[:20]


def test_an_unseeded_run_never_has_a_seed_that_is_also_written(small: dict[str, Any]) -> None:
    drawn = hash_seed("unseeded", 0)
    written, unseeded = expanded(small, seeds=[drawn, -1])
    assert written.value == drawn
    assert unseeded.value not in (drawn, -1)


@pytest.mark.parametrize("parts", [(), (0,), (2**32 - 1, 999), (1, 2, 2**128 - 1), (-1,)])
def test_a_seed_is_drawn_from_the_canonical_json_of_its_parts(parts: tuple[int, ...]) -> None:
    text = canonical_json(["evolution birth", *parts])
    expected = int.from_bytes(sha256(text.encode()).digest()[:4], "big")
    assert hash_seed("evolution birth", *parts) == expected
