"""Exact loops: found where the end of a run repeats, and proof under fixed noise alone."""

import numpy as np
import pytest

from panic_hpc import installed
from panic_hpc.analysis import FigureSpec, TrajectorySet, analysis, refused
from panic_hpc.analysis.analyses.staying.loops import repeats
from panic_hpc.errors import PanicError


@pytest.mark.parametrize(
    ("texts", "first", "lag", "recurrent", "is_loop"),
    [
        ("abcde", None, None, 0, False),
        ("abcbcb", 3, 2, 2, True),
        ("abcbca", 3, 2, 3, False),
        ("aa", 1, 1, 1, True),
        ("", None, None, 0, False),
        ("abca", 3, 3, 1, True),
    ],
)
def test_repeats(
    texts: str, first: int | None, lag: int | None, recurrent: int, is_loop: bool
) -> None:
    found = repeats(texts)
    assert (found.first, found.lag, found.recurrent, found.is_loop) == (
        first, lag, recurrent, is_loop,
    )  # fmt: skip


def of_texts(texts: list[str], noise: str, ended: str = "length") -> TrajectorySet:
    n = len(texts)
    labels = {"prompt": [f"p{r}" for r in range(n)], "noise": [noise] * n, "ended": [ended] * n}
    lengths = [len(own) for own in texts]
    vectors = np.zeros((len(texts), max(lengths), 1))
    return TrajectorySet.of_array(vectors, labels, lengths, texts=texts.__getitem__)


def test_a_loop_is_proof_under_fixed_noise_alone() -> None:
    texts = ["abcabc", "abcdef", "abccc", "x", ""]
    fixed = analysis("loops", of_texts(texts, "fixed"))
    assert fixed.statements[0].value == pytest.approx(2 / 3)
    assert "proves that they are stuck" in fixed.statements[0].sentence
    noisy = analysis("loops", of_texts(texts, "per_step"))
    assert "proves nothing" in noisy.statements[0].sentence
    assert fixed.not_done[0].why == "2 runs with fewer than two texts"


def test_the_interval_of_the_share_of_loops_covers_what_is_planted() -> None:
    """Whether runs loop differs by prompt: with runs as units .79 of intervals would hold it."""
    assert share_covered(60) >= 0.87


@pytest.mark.long
def test_the_interval_of_the_share_of_loops_covers_at_its_rate() -> None:
    assert share_covered(400) >= 0.92


def share_covered(draws: int) -> float:
    """Return how often the planted share of loops, 0.3, lies in its interval."""
    rng = np.random.default_rng(11)
    hits = []
    for _ in range(draws):
        # Prompts differ: half of the variance of whether a run loops is theirs.
        loops = rng.random((20, 4)) < rng.beta(0.3, 0.7, 20)[:, None]
        found = of_texts(["abcbcb" if one else "abcdef" for one in loops.ravel()], "fixed")
        found.labels.prompt[:] = np.repeat([f"p{p}" for p in range(20)], 4)
        said = analysis("loops", found, draws=199).statements[0]
        hits.append(said.low <= 0.3 <= said.high)
    return float(np.mean(hits))


def test_runs_that_a_loop_stopped_count_though_their_texts_do_not_repeat() -> None:
    stopped = analysis("loops", of_texts(["abc", "de"], "fixed", ended="loop"))
    assert stopped.statements[0].value == 1


def test_the_answer_counts_the_networks_that_loop() -> None:
    plugin = installed.plugin("analyses", "loops")
    found = of_texts(["abcdef", "ghijkl", "abcabc", "aaa"], "fixed")
    assert plugin.answer(analysis("loops", found)).sentence.startswith("50% of 4 runs")
    found.labels.network[:] = list("wwoo")
    said = plugin.answer(analysis("loops", found))
    assert (said.subject, said.value) == ("", 0.5)
    assert said.sentence == (
        "In 1 of 2 networks runs end in exact loops; shares of runs from 0% to 100%"
    )
    none = plugin.answer(analysis("loops", of_texts(["abcd", "efgh"], "fixed")))
    assert (none.value, none.sentence[:21]) == (0, "Not in an exact loop:")


@pytest.mark.parametrize("name", installed.plugins("analyses"))
def test_what_the_report_asks_of_an_analysis_stands_nothing_done(name: str) -> None:
    # The report asks what could not be done as well, and then says why.
    assert installed.plugin("analyses", name).answer(refused(name, "there is nothing")) is None


def test_a_figure_that_cannot_be_drawn_is_refused_where_it_is_declared() -> None:
    with pytest.raises(PanicError, match="form"):
        FigureSpec("f", "t", "pie", "", "x", "y")  # type: ignore[arg-type]
    with pytest.raises(PanicError, match="shades"):
        FigureSpec("f", "t", "heatmap", "", "x", "y")


def test_a_share_of_few_prompts_has_no_interval_and_says_so() -> None:
    few = analysis("loops", of_texts(["aba", "ab", "aa"], "fixed"))
    assert few.not_done[0].why == "3 prompts; an interval takes 4"
    assert "interval" not in few.statements[0].sentence


def test_recurrent_sets_of_fixed_noise_are_told_with_the_prompts_that_end_in_them() -> None:
    found = of_texts(["abcdcd", "xydcdc", "abcccc", "abcdef"], "fixed")
    found.labels.seed[:] = [1, 1, 1, 2]
    told = analysis("loops", found)
    rows = [told.table("recurrent_sets").row(n) for n in range(2)]
    assert [(row["states"], row["runs"], row["prompts"]) for row in rows] == [(2, 2, 2), (1, 1, 1)]
    assert [(row["before"], row["text"]) for row in rows] == [(2, "c"), (2, "c")]
    assert "1 of them reached from several prompts" in told.statements[-1].sentence
    found.labels.seed[:] = range(4)
    assert len(analysis("loops", found).table("recurrent_sets")) == 3, "another seed, another map"
    noisy = analysis("loops", of_texts(["abcdcd", "xydcdc"], "per_step"))
    assert all(table.name != "recurrent_sets" for table in noisy.tables)
