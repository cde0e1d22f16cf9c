"""Every installed analysis on data that cannot answer it: what it could not do, and why."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from panic_hpc.analysis import AnalysisResult, Planted, TrajectorySet, analysis, simulate
from panic_hpc.analysis.running import available

USUAL = Planted(prompts=4, networks=4, runs=2, states=6, dimensions=8, tau=3)
ONE_OF_MANY = re.compile(r"\b1 (prompts|runs|networks|states|texts|clusters|components)\b")
NEGATIVE_ZERO = re.compile(r"(?<![\w.])-0(\.0+)?(?![\w.])")
FEW_DRAWS = {"draws": 19}


def planted(**changes: Any) -> TrajectorySet:
    found = simulate(replace(USUAL, **changes)).trajectories
    said = [f"a {word} of words" for word in ("fox", "hen", "boat", "lamp", "tree")]
    return replace(found, texts=lambda run: (said * 2)[run % 5 :][: int(found.lengths[run])])


def with_vectors(change: Callable[[np.ndarray], None]) -> TrajectorySet:
    found = planted()
    vectors = found.vectors.copy()
    change(vectors)
    return replace(found, vectors=vectors)


def not_a_number(vectors: np.ndarray) -> None:
    vectors[:] = np.nan


def some_not_a_number(vectors: np.ndarray) -> None:
    vectors[::3] = np.nan
    vectors[5] = np.inf
    vectors[7] = 0.0


def all_equal(vectors: np.ndarray) -> None:
    vectors[:] = vectors[0]


def scaled(factor: float) -> Callable[[np.ndarray], None]:
    def change(vectors: np.ndarray) -> None:
        vectors *= np.float32(factor)

    return change


def one_label(found: TrajectorySet, name: str) -> TrajectorySet:
    column = getattr(found.labels, name).copy()
    column[:] = column[0]
    return replace(found, labels=replace(found.labels, **{name: column}))


BAD: dict[str, Callable[[], TrajectorySet]] = {
    "one run": lambda: planted(prompts=1, networks=1, runs=1),
    "one state": lambda: planted(states=1),
    "two states": lambda: planted(states=2),
    "one run of one state": lambda: planted(prompts=1, networks=1, runs=1, states=1),
    "one prompt": lambda: planted(prompts=1),
    "one network": lambda: planted(networks=1),
    "one generator": lambda: one_label(planted(), "generator"),
    "one captioner": lambda: one_label(planted(), "captioner"),
    "one seed": lambda: one_label(planted(), "seed"),
    "no run twice": lambda: planted(runs=1),
    "half of the runs missing": lambda: planted(missing=0.5),
    "no run has states": lambda: planted().select(np.arange(4)).select(np.zeros(4, bool)),
    "all runs empty": lambda: replace(planted(), lengths=np.zeros(32, np.int64)),
    "uneven runs": lambda: replace(planted(), lengths=np.arange(32) % 7),
    "no texts": lambda: replace(planted(), texts=None),
    "empty texts": lambda: replace(planted(), texts=lambda run: [""] * 6),
    "no embedded prompts": lambda: planted(embeds_prompts=False),
    "nan everywhere": lambda: with_vectors(not_a_number),
    "nan here and there": lambda: with_vectors(some_not_a_number),
    "all states equal": lambda: with_vectors(all_equal),
    "one dimension": lambda: planted(dimensions=1),
    "large vectors": lambda: with_vectors(scaled(1e30)),
    "small vectors": lambda: with_vectors(scaled(1e-30)),
}


@pytest.fixture(scope="module", params=BAD)
def bad(request: pytest.FixtureRequest) -> TrajectorySet:
    return BAD[request.param]()


@pytest.mark.parametrize("name", available())
def test_an_analysis_answers_or_says_why_not(name: str, bad: TrajectorySet) -> None:
    found = analysis(name, bad, **FEW_DRAWS)
    assert isinstance(found, AnalysisResult)
    assert found.statements or found.not_done, "it says nothing at all"
    for lack in found.not_done:
        assert lack.what
        assert len(lack.why) > 8, lack
    for sentence in [*(one.why for one in found.not_done), *(s.sentence for s in found.statements)]:
        assert not ONE_OF_MANY.search(sentence), sentence
        assert not NEGATIVE_ZERO.search(sentence), sentence
    for said in found.statements:
        assert not re.search(r"\bnan\b", said.sentence), said.sentence
    for test in found.tests:
        assert np.isnan(test.p) or 0 <= test.p <= 1
        assert test.n > 0
