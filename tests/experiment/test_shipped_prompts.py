"""The prompts that come with the package: all there, all different, none near another."""

import csv
import math
import re
from collections import Counter
from itertools import combinations

import pytest

from panic_hpc.experiment.entries import as_prompt
from panic_hpc.experiment.prompts_file import read_prompts
from panic_hpc.paths import shipped_configs

FOLDER = shipped_configs() / "prompts"


def texts() -> list[str]:
    return [as_prompt(entry).text for entry in read_prompts(FOLDER, "diverse-100.csv")]


def likeness(a: str, b: str) -> float:
    """Return the cosine of two texts' counts of three letters, from 0 to 1."""
    counts = [
        Counter(map("".join, zip(text, text[1:], text[2:], strict=False)))
        for text in (f"  {re.sub('[^a-z0-9]+', ' ', t.lower())} " for t in (a, b))
    ]
    shared = sum(counts[0][key] * counts[1][key] for key in counts[0])
    return shared / math.sqrt(math.prod(sum(n * n for n in c.values()) for c in counts))


def content_words(text: str) -> set[str]:
    return set(re.findall("[a-z0-9]{4,}", text.lower())) - {"that", "with", "from", "this"}


def test_there_are_a_hundred_different_ones() -> None:
    assert len(set(texts())) == len(texts()) == 100
    with (FOLDER / "diverse-100.csv").open(newline="") as stream:
        assert {tuple(row) for row in csv.DictReader(stream)} == {("text",)}


def test_no_two_are_near_each_other() -> None:
    for a, b in combinations(texts(), 2):
        assert likeness(a, b) < 0.5, (a, b)
        assert len(content_words(a) & content_words(b)) <= 2, (a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Fog so thick that the street lamps float", "The fog is so thick that street lamps float"),
        ("A circus tent, but no circus", "A circus tent without a circus"),
    ],
)
def test_the_measure_sees_paraphrases(a: str, b: str) -> None:
    assert likeness(a, b) >= 0.5


def test_short_and_long_ones_are_among_them() -> None:
    lengths = [len(text.split()) for text in texts()]
    assert sum(length == 1 for length in lengths) >= 8
    assert sum(length >= 24 for length in lengths) >= 6
