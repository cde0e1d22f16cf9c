"""Words of the texts of runs: how many, how varied, how many of the prompt's are left.

What is left of the prompt's words is counted beside what strangers' texts have of them by chance:
short texts and frequent words make some of any prompt turn up anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.estimators.variance.factors import factor
from panic_hpc.errors import AnalysisError
from panic_hpc.plain_text import words_of

Column = NDArray[np.float64]


def variety(texts: Sequence[str], window: int = 50) -> float:
    """Return the mean share of distinct words in windows of as many words, nan of fewer words.

    Unlike distinct words over all words it does not fall with the length of the text (moving
    average type-token ratio: Covington and McFall, Journal of Quantitative Linguistics 17, 2010).
    """
    found = [word for text in texts for word in words_of(text)]
    if len(found) < window:
        return float("nan")
    counts: dict[str, int] = {}
    distinct = []
    for place, word in enumerate(found):
        counts[word] = counts.get(word, 0) + 1
        if place >= window:
            left = found[place - window]
            counts[left] -= 1
            if not counts[left]:
                del counts[left]
        if place >= window - 1:
            distinct.append(len(counts))
    return float(np.mean(distinct) / window)


@dataclass(frozen=True, slots=True)
class WordsLeft:
    """Shares of a prompt's distinct words, by state.

    own        (states,) in the texts of its own runs
    strangers  (states,) in the texts of runs of other prompts, what chance leaves
    extra      (prompts, states) own less strangers', a row a prompt: the independent units
    """

    own: Column
    strangers: Column
    extra: Column


def words_left(texts: Sequence[Sequence[str]], prompts: Sequence[str]) -> WordsLeft:
    """Return how many of the prompt's words are left in the texts of runs.

    texts has a sequence of texts a run, in order of states; shorter runs leave later states to
    others. Prompts without words are passed over. Raises AnalysisError for fewer than two prompts.
    """
    part = factor("prompt", np.asarray(prompts))
    asked = [set(words_of(str(level))) for level in part.levels]
    worded = [place for place, vocabulary in enumerate(asked) if vocabulary]
    if len(worded) < 2:
        raise AnalysisError("fewer than two prompts with words: no strangers to compare with")
    of_word: dict[str, list[int]] = {}
    for place in worded:
        for word in asked[place]:
            of_word.setdefault(word, []).append(place)
    n_states = max(map(len, texts))
    # Sums by prompt and state: of its own runs, of all runs, and how many runs there are of each.
    sums = np.zeros((2, len(asked), n_states))
    counts = np.zeros((2, len(asked), n_states))
    for run, said in enumerate(texts):
        prompt = part.codes[run]
        counts[0, prompt, : len(said)] += 1
        counts[1, :, : len(said)] += 1
        for state, text in enumerate(said):
            for word in set(words_of(text)) & of_word.keys():
                for place in of_word[word]:
                    share = 1 / len(asked[place])
                    sums[1, place, state] += share
                    sums[0, place, state] += share * (place == prompt)
    own = _ratio(sums[0], counts[0])[worded]
    others = _ratio(sums[1] - sums[0], counts[1] - counts[0])[worded]
    return WordsLeft(_mean(own), _mean(others), own - others)


def _ratio(sums: Column, counts: Column) -> Column:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean(values: Column) -> Column:
    """Return the mean over rows of what is known, nan where nothing is."""
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
