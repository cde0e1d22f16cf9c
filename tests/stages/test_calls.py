from collections.abc import Sequence
from typing import Any

import pytest

from panic_hpc.errors import Interrupted, ModelError
from panic_hpc.stages.calls import Call, Caller, ItemFailure, filled_batch


def test_missing_slots_are_filled_with_the_first_there() -> None:
    assert filled_batch({1: "b", 3: "d"}, 4) == ["b", "b", "b", "d"]


class Model:
    """Doubles numbers; negative ones raise, and so does everything once it is broken."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.is_broken = False

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        if self.is_broken:
            raise RuntimeError("the device is lost")
        if min(items) < 0:
            raise ValueError(f"{min(items)} is negative")
        return [2 * item for item in items]


def called(call: Call, size: int, items: dict[int, int]) -> dict[int, Any]:
    return Caller("m", size, call, lambda item: 0)(items)


def test_calls_have_one_size_and_copies_are_discarded() -> None:
    model = Model()
    assert called(model, 3, {1: 5}) == {1: 10}
    assert model.calls == [[5, 5, 5]]


def test_a_bad_item_fails_alone_and_in_its_own_slot() -> None:
    model = Model()
    results = called(model, 3, {0: 1, 1: -2, 2: 3})
    assert (results[0], results[2]) == (2, 6)
    assert isinstance(results[1], ItemFailure)
    assert results[1].reason.startswith("ValueError: -2 is negative\n")
    assert "Traceback" in results[1].reason
    assert model.calls == [[1, -2, 3], [1, 1, 1], [-2, -2, -2], [3, 3, 3]]


def test_an_item_s_result_is_that_of_its_own_slot() -> None:
    def call(items: Sequence[int]) -> list[Any]:
        if len(set(items)) > 1:
            raise RuntimeError("together they fail")
        return [(slot, item) for slot, item in enumerate(items)]

    assert called(call, 3, {0: 5, 2: 7}) == {0: (0, 5), 2: (2, 7)}


def test_only_bad_items_are_failures_where_a_plain_one_works() -> None:
    results = called(Model(), 2, {0: -1, 1: -2})
    assert all(isinstance(result, ItemFailure) for result in results.values())


def test_a_broken_model_is_no_failure_of_its_items() -> None:
    model = Model()
    model.is_broken = True
    with pytest.raises(ModelError, match=r"m fails on all .*the device is lost"):
        called(model, 2, {0: 3, 1: 4})


def test_a_wrong_number_of_results_is_an_error() -> None:
    with pytest.raises(ModelError, match="gave 1 results for 2 items"):
        called(lambda items: [1], 2, {0: 1, 1: 2})


def test_an_interruption_is_passed_on() -> None:
    def call(items: Sequence[int]) -> list[int]:
        raise Interrupted("stop")

    with pytest.raises(Interrupted):
        called(call, 2, {0: 1, 1: 2})


def test_a_reason_can_be_stored_whatever_the_error_quotes() -> None:
    def call(items: Sequence[str]) -> list[str]:
        if "\ud83d" in items:
            raise ValueError(f"cannot read {items}: {items[0]}")
        return list(items)

    results = Caller("m", 1, call, lambda item: "a picture")({0: "\ud83d"})
    assert "\\ud83d" in results[0].reason
    assert results[0].reason.encode()


def answering(bad: set[int]) -> Call:
    """Return a call that gives failures, in place of results, for some items."""

    def call(items: Sequence[int]) -> list[Any]:
        return [ItemFailure("not finite") if item in bad else 2 * item for item in items]

    return call


def test_a_result_that_is_a_failure_leaves_the_others_as_they_are() -> None:
    calls: list[int] = []

    def call(items: Sequence[int]) -> Sequence[Any]:
        calls.append(len(items))
        return answering({7})(items)

    assert called(call, 3, {0: 1, 1: 7, 2: 3}) == {0: 2, 1: ItemFailure("not finite"), 2: 6}
    assert calls == [3]


def test_results_that_are_all_failures_are_judged_by_a_plain_item() -> None:
    assert called(answering({7, 8}), 2, {0: 7, 1: 8})[0] == ItemFailure("not finite")
    with pytest.raises(ModelError, match="m fails on all that it is given"):
        called(answering({0, 7, 8}), 2, {0: 7, 1: 8})
