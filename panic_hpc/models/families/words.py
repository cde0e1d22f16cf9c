"""Metrics of texts: how long, how repetitive, of which words; no weights."""

from collections.abc import Sequence

from pydantic import BaseModel

from panic_hpc.models.base import Judged, Score
from panic_hpc.models.metric_settings import NOTHING, MetricSettings, Words
from panic_hpc.models.settings import settings_of
from panic_hpc.plain_text import words_of
from panic_hpc.types import SCORE, TEXT, Modality, ModelEntry, ModelSpec


class WordSettings(MetricSettings):
    """What is counted: `listed` are words whose share among all is told, in lower case."""

    listed: Words = ()


class WordCounter:
    """Counts the words of a text.

    `words`, `characters`: how many; `distinct`: different words over words, 1 where none repeats;
    `listed`: the share of words that are in the list; `kept`: of the different words of the text it
    is judged against, the share that it has too.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, WordSettings)
        self._list = frozenset(word.lower() for word in self.settings.listed)
        more = (("listed", bool(self._list)), ("kept", self.settings.against != NOTHING))
        self.components = (
            "words", "characters", "distinct", *(name for name, is_asked in more if is_asked),
        )  # fmt: skip

    def load(self, device: str) -> None:
        """Nothing to load."""

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return the counts of each text."""
        return [self._score(item) for item in items]

    def _score(self, item: Judged) -> Score:
        own = words_of(item.output)
        distinct = set(own)
        values = [float(len(own)), float(len(item.output)), _share(len(distinct), len(own))]
        if self._list:
            values.append(_share(sum(word in self._list for word in own), len(own)))
        if item.against is not None:
            others = set(words_of(item.against))
            values.append(_share(len(others & distinct), len(others)))
        lacks = any(value != value for value in values)
        return Score(tuple(values), problem="a text without words" if lacks else "")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


class WordFamily:
    """The family of counters of words."""

    name = "words"
    settings = WordSettings
    entries = (
        ModelEntry("Words", TEXT, SCORE, seconds=0.0001, timing="on one CPU core", note="counts"),
    )

    def build(self, spec: ModelSpec) -> WordCounter:
        """Return the counter that `spec` names."""
        return WordCounter(spec)

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return text and score."""
        return TEXT, SCORE

    def compared(self, settings: BaseModel) -> Modality:
        """Return text, or nothing."""
        return "" if settings.model_dump()["against"] == NOTHING else TEXT


PLUGINS = (WordFamily(),)
