"""The words in which problems are told."""

import math

from panic_hpc.validation.problems import at_most, dotted, is_finite, shown, unknown_key


def test_places_are_written_as_they_are_typed() -> None:
    assert dotted(("networks", 0, "models", 1)) == "networks[0][1]"
    assert dotted(("models", "FluxDev", "steps")) == "models.FluxDev.steps"
    assert dotted(("homology",)) == "homology"


def test_values_are_cut_to_a_line() -> None:
    assert shown("two\nlines") == r"'two\nlines'"
    assert len(shown("x" * 1000)) == 60
    assert shown(1 << 100_000) == "a number of thousands of digits"


def test_an_unknown_key_is_told_with_the_nearest() -> None:
    assert unknown_key("a.colur", "colur", ["colour", "size"]) == (
        "a.colur: unknown key. Did you mean 'colour'?"
    )
    assert "x" * 100 not in unknown_key("a", "x" * 100_000, ["colour"])


def test_a_screen_of_problems_is_enough() -> None:
    assert at_most(["a"] * 50) == ["a"] * 50
    assert at_most(["a"] * 52)[-1] == "… and 2 more"


def test_numbers_hide_nowhere() -> None:
    assert is_finite({"a": [1, "nan", None, {"b": 0.5}]})
    assert not is_finite({"a": [1, {"b": math.inf}]})
    assert not is_finite([math.nan])
