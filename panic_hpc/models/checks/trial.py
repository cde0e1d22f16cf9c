"""Checking a model on the machine at hand: its files, two loads, and the bits that calls give.

A depth includes those before it. Everything is asked through the contract of models (`base.py`), so
a check holds for every family, and nothing of a check depends on what the weights are.
"""

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from panic_hpc import clock, installed
from panic_hpc.errors import ModelError, PanicError
from panic_hpc.models import loading
from panic_hpc.models.base import Judged, find_family, is_repeatable
from panic_hpc.models.settings import settings_of
from panic_hpc.types import EMBEDDING, SCORE, TEXT, ModelSpec

Depth = Literal["files", "load", "bits"]
DEPTHS: tuple[Depth, ...] = ("files", "load", "bits")
SIDE = 64
MAX_BATCH, MAX_CALL_S = 512, 60.0

_TEXTS = (
    "a red boat on a grey sea",
    'a shop with a sign that says "OPEN", seen from across a wide and busy street in the evening',
    "",
    "x",
    "two birds",
)
Tell = Callable[[str], None]
Ask = Callable[[str], "list[Checked]"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One question and its answer: `passed` is None for a figure, which nothing depends on."""

    question: str
    passed: bool | None
    answer: str


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """How much is asked: a depth, on a device, and `sweep`: other batch sizes, each setting."""

    depth: Depth
    device: str
    sweep: bool = False


def check(
    spec: ModelSpec, asked: CheckRequest, tell: Tell = lambda question: None
) -> list[Checked]:
    """Return what was found out about a model, up to the first question that it fails.

    `tell` is told of each question before it is asked.
    """
    outcomes: list[Checked] = []
    for question, ask in _questions(_Trial(spec, asked.device), asked):
        tell(question)
        try:
            outcomes += ask(question)
        except (PanicError, RuntimeError, ValueError, MemoryError) as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            outcomes.append(Checked(question, False, first))
        if any(one.passed is False for one in outcomes):
            break
    return outcomes


def _questions(trial: "_Trial", asked: CheckRequest) -> list[tuple[str, Ask]]:
    by_depth: dict[Depth, list[tuple[str, Ask]]] = {
        "files": [("its files are there", trial.files)],
        "load": [("two loads give the same", trial.loads)],
        "bits": [
            ("a call repeats itself", trial.repeats),
            ("other neighbours change nothing", trial.neighbours),
            ("another slot has the same bits", trial.slots),
            ("a seed is its item's own", trial.seeds),
            ("seconds an item", trial.cost),
        ],
    }
    chosen = [one for name in DEPTHS[: DEPTHS.index(asked.depth) + 1] for one in by_depth[name]]
    sweep = [("batch sizes", trial.batch_sizes), ("settings that change nothing", trial.idle)]
    return [*chosen, *(sweep if asked.sweep and asked.depth == "bits" else [])]


class _Trial:
    """One model, loaded once for all questions that need it."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        self.spec, self.device = spec, device
        self._model: Any = None

    @property
    def model(self) -> Any:
        if self._model is None:
            self._model = loading.load(self.spec, self.device)
        return self._model

    @property
    def is_repeatable(self) -> bool:
        return is_repeatable(installed.plugins("families"), self.spec)

    def files(self, question: str) -> list[Checked]:
        from panic_hpc.models.weights import find_weights

        # Models of arithmetic have no weights, and nowhere to look for them.
        has_weights = bool(self.spec.repository or self.spec.revision)
        where = find_weights(self.spec).source if has_weights else "no weights"
        return [Checked(question, True, where)]

    def loads(self, question: str) -> list[Checked]:
        """Load twice, with the library's own generator in two states.

        What a checkpoint lacks is drawn from it, and tables that nothing filled hold what was in
        memory before: both give other outputs, and no error.
        """
        first, again = self._loaded(1), self._loaded(2)
        if not self.is_repeatable:
            return [_passing(question)]
        return [_judged(question, _same(first, again), "another load gives another output")]

    def _loaded(self, seed: int) -> list[Any]:
        self._model = None
        gc.collect()
        _seed_everything(seed)
        return self._called(self._items(self.spec.batch_size))

    def repeats(self, question: str) -> list[Checked]:
        if not self.is_repeatable:
            return [_passing(question)]
        items = self._items(self.spec.batch_size)
        return [_judged(question, _same(self._called(items), self._called(items)), "bits differ")]

    def neighbours(self, question: str) -> list[Checked]:
        """Call with other items beside the first: longer, quoted, empty; black, white pictures."""
        size = self.spec.batch_size
        if size == 1 or not self.is_repeatable:
            told = "batch size 1: there are none" if size == 1 else "each is asked by itself"
            return [Checked(question, None, told)]
        alone = self._called(self._items(size))[:1]
        kinds = len(_TEXTS) if self.spec.consumes == TEXT else 3
        for other in (self._item(kind) for kind in range(1, kinds)):
            if not _same(self._called([self._item(0), *[other] * (size - 1)])[:1], alone):
                return [Checked(question, False, f"beside {_named(other)} an item has other bits")]
        return [Checked(question, True, f"{kinds - 1} kinds of neighbours")]

    def slots(self, question: str) -> list[Checked]:
        """Compare the first slot with the last: a figure, since a run keeps its slot."""
        size = self.spec.batch_size
        if size == 1:
            return [Checked(question, None, "batch size 1: there is one")]
        outputs = self._called([self._item(0)] * size, [7] * size)
        return [Checked(question, None, "yes" if _same(outputs[:1], outputs[-1:]) else "no")]

    def seeds(self, question: str) -> list[Checked]:
        if self.spec.produces in (EMBEDDING, SCORE) or not self.is_repeatable:
            return []
        items = self._items(self.spec.batch_size)
        before = self._called(items)
        after = self._called(items, [99, *range(1, len(items))])
        if not _same(before[1:], after[1:]):
            return [Checked(question, False, "another seed of one item changes the others")]
        told = "it decides nothing" if _same(before[:1], after[:1]) else "it changes its item only"
        return [Checked(question, True, told)]

    def cost(self, question: str) -> list[Checked]:
        seconds = self._seconds(self.spec.batch_size)
        figures = [Checked(question, None, f"{seconds:.3g} at batch size {self.spec.batch_size}")]
        if peak := _peak_memory(self.device):
            figures.append(Checked("memory of the device", None, f"{peak / 1e9:.1f} GB at most"))
        return figures

    def batch_sizes(self, question: str) -> list[Checked]:
        """Double the batch until it does not fit, or a call takes too long for more."""
        told, size = [], 1
        while size <= MAX_BATCH:
            try:
                seconds = self._seconds(size)
            # What a device that is full raises is a RuntimeError, and torch's alone.
            except (RuntimeError, MemoryError) as error:
                told.append(f"{size}: does not fit ({type(error).__name__})")
                break
            told.append(f"{size}: {seconds:.3g} s")
            if seconds * size > MAX_CALL_S:
                break
            size *= 2
        return [Checked(question, None, ", ".join(told))]

    def idle(self, question: str) -> list[Checked]:
        """Load with each setting left out in turn, and name those that change no output."""
        family = installed.plugins("families")[self.spec.family]
        fields = family.settings.model_fields.items()
        defaults = {name: f.get_default() for name, f in fields if not f.is_required()}
        items = self._items(self.spec.batch_size)
        before = self._called(items)
        idle = []
        for name, value in self.spec.settings.items():
            if name in defaults and defaults[name] != value:
                other = replace(self.spec, settings={**self.spec.settings, name: defaults[name]})
                if _same(_Trial(other, self.device)._called(items), before):
                    idle.append(f"{name} = {value!r}")
        return [Checked(question, None, ", ".join(idle) or "none")]

    def _seconds(self, size: int) -> float:
        items = self._items(size)
        # Once before: the first call of a size chooses kernels and takes memory.
        self._called(items)
        started = clock.monotonic()
        self._called(items)
        return (clock.monotonic() - started) / size

    def _called(self, inputs: Sequence[Any], seeds: Sequence[int] | None = None) -> list[Any]:
        model = self.model
        if self.spec.produces == EMBEDDING:
            return list(model.embed(inputs)[0])
        if self.spec.produces == SCORE:
            return [np.array(score.values) for score in model.score(inputs)]
        outputs = model.generate(inputs, seeds or list(range(len(inputs))))
        return [output.value for output in outputs]

    def _items(self, count: int) -> list[Any]:
        return [self._item(place) for place in range(count)]

    def _item(self, kind: int) -> Any:
        own = _of_kind(self.spec.consumes, kind)
        if self.spec.produces != SCORE:
            return own
        family = find_family(installed.plugins("families"), self.spec.family)
        compared = family.compared(settings_of(self.spec, family.settings))
        return Judged(own, _of_kind(compared, kind + 1) if compared else None)


def _of_kind(modality: str, kind: int) -> Any:
    return _TEXTS[kind % len(_TEXTS)] if modality == TEXT else _image(kind)


def _image(kind: int) -> np.ndarray:
    """Return a picture: noise, black, white, then other noise."""
    if kind in (1, 2):
        return np.full((SIDE, SIDE, 3), 255 * (kind - 1), np.uint8)
    return np.random.default_rng(kind).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def _named(item: Any) -> str:
    item = item.output if isinstance(item, Judged) else item
    if isinstance(item, str):
        return repr(item[:40])
    return "a black picture" if not item.any() else "another picture"


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(map(_equal, a, b))


def _equal(a: Any, b: Any) -> bool:
    # Scores of one item may lack the same component twice.
    is_score = isinstance(a, np.ndarray) and a.dtype == np.float64
    return np.array_equal(a, b, equal_nan=is_score)


def _passing(question: str) -> Checked:
    return Checked(question, None, "not asked: a server may answer otherwise each time")


def _judged(question: str, passed: bool, problem: str) -> Checked:
    return Checked(question, passed, "yes" if passed else problem)


def _seed_everything(seed: int) -> None:
    # Models without torch draw nothing from it.
    with suppress(ImportError):
        import torch

        torch.manual_seed(seed)


def _peak_memory(device: str) -> int:
    if not device.startswith("cuda"):
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated())


def require_depth(name: str) -> Depth:
    """Return `name` as a depth; ModelError names those there are."""
    for depth in DEPTHS:
        if depth == name:
            return depth
    raise ModelError(f"There is no depth {name!r} of checking", hint=f"One of: {', '.join(DEPTHS)}")
