"""Arms: runs that are compared with others, and what makes two of them partners.

An arm is a network, of one dataset or of several, or what else runs are told apart by. Runs pair
with those of another arm that have the same prompt and seed, and the same network where arms are no
networks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import AnalysisError, nearest
from panic_hpc.store.dataset.outputs import picture_keys

if TYPE_CHECKING:
    from panic_hpc.store.dataset.dataset import Dataset

NETWORK, EXPERIMENT, GROUP, NOISE = "network", "experiment", "group", "noise"
LABELS = (NETWORK, EXPERIMENT, GROUP, NOISE)
"""What runs can be told apart by."""


class Pair(NamedTuple):
    """What a run shares with its partner: prompt, seed, and what of the rest is no arm's name.

    `pictures` are the digests of the prompt's, since files of one name may be two pictures.
    """

    prompt: str
    seed: int
    rest: str = ""
    pictures: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """Runs that are compared with others: those of one network of one dataset, say.

    name: the network's or another label, behind its dataset's where there are several, before its
        noise where it was run with both.
    rows: the rows of its runs, by prompt and seed.
    """

    name: str
    dataset: "Dataset"
    rows: Mapping[Pair, int]

    @property
    def runs(self) -> NDArray[np.int64]:
        """The rows of its runs, in order."""
        return np.array(sorted(self.rows.values()), np.int64)


def arms_of(datasets: Sequence["Dataset"], by: str = NETWORK) -> list[Arm]:
    """Return the runs of datasets as arms by a label; AnalysisError of fewer than two arms.

    By experiment (or dataset, where there are several), paraphrase group or noise, runs pair within
    their networks; by group they pair by the order of a group's prompts, since no text is in two.
    """
    arms = all_arms(datasets, by)
    if len(arms) < 2:
        what = f"There is one {by}, {arms[0].name}" if arms else f"There is no {by}"
        raise AnalysisError(f"{what}, and nothing to compare it with", hint="Name another dataset")
    return arms


def all_arms(datasets: Sequence["Dataset"], by: str = NETWORK) -> list[Arm]:
    """Return the runs of datasets as arms by a label, were it one arm or none."""
    if by not in LABELS:
        raise AnalysisError(f"Runs are not compared by {by!r}", hint=f"By {', '.join(LABELS)}")
    found: list[Arm] = []
    for dataset in datasets:
        place = f"{_place_of(dataset)}: " if len(datasets) > 1 else ""
        found += [replace(arm, name=f"{place}{arm.name}") for arm in _ARMS_BY[by](dataset)]
    return found


def _place_of(dataset: "Dataset") -> str:
    return dataset.path.parent.name or dataset.path.stem


def baseline_of(arms: Sequence[Arm], wanted: str) -> Arm:
    """Return the arm that a name, or a part of one that no other has, means; the first for ""."""
    if not wanted:
        return arms[0]
    names = [arm.name for arm in arms]
    found = [arm for arm in arms if arm.name == wanted] or [a for a in arms if wanted in a.name]
    if len(found) == 1:
        return found[0]
    told = f"{len(found)} arms are" if found else "no arm is"
    hint = nearest(wanted, names) or f"There are {', '.join(names[:12])}"
    raise AnalysisError(f"The baseline {wanted!r}: {told} called so", hint=hint)


def spread(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """Return at most `most` pairs: the first of each prompt, then the second of each, …"""
    rank: dict[str, int] = {}
    keyed = []
    for place, pair in enumerate(pairs):
        rank[pair.prompt] = rank.get(pair.prompt, -1) + 1
        keyed.append((rank[pair.prompt], place, pair))
    chosen = sorted(keyed)[:most]
    return [pair for _, _, pair in sorted(chosen, key=lambda one: one[1])]


def _by_network(dataset: "Dataset") -> Iterator[Arm]:
    """Yield the arm of each network, one for each noise that it was run with."""
    runs = _LabelledRuns(dataset)
    for network, name in enumerate(dataset.networks()["name"].to_list()):
        kinds = sorted(set(runs.noise[runs.network == network].tolist()))
        for kind in kinds:
            rows = np.flatnonzero((runs.network == network) & (runs.noise == kind))
            full = f"{name} ({kind})" if len(kinds) > 1 else name
            yield runs.arm(full, rows, lambda row: "")


def _by_experiment(dataset: "Dataset") -> Iterator[Arm]:
    runs, members = _LabelledRuns(dataset), dataset.members()
    of, rows = members["experiment"].to_numpy(), members["run"].to_numpy()
    for number, told in enumerate(dataset.metadata["experiments"]):
        yield runs.arm(told["name"] or told["source"], rows[of == number], runs.network_and_noise)


def _by_group(dataset: "Dataset") -> Iterator[Arm]:
    runs = _LabelledRuns(dataset)
    groups = np.array([one or "no group" for one in dataset.prompts()["group"].to_list()])
    own = groups[runs.prompt]
    for name in dict.fromkeys(own.tolist()):
        yield runs.arm(name, np.flatnonzero(own == name), runs.network_and_noise)


def _by_noise(dataset: "Dataset") -> Iterator[Arm]:
    runs = _LabelledRuns(dataset)
    for name in sorted(set(runs.noise.tolist())):
        yield runs.arm(name, np.flatnonzero(runs.noise == name), runs.network_of)


_ARMS_BY: dict[str, Callable[["Dataset"], Iterator[Arm]]] = {
    NETWORK: _by_network,
    EXPERIMENT: _by_experiment,
    GROUP: _by_group,
    NOISE: _by_noise,
}


class _LabelledRuns:
    """The labels of a dataset's runs, and arms made of them."""

    def __init__(self, dataset: "Dataset") -> None:
        frame = dataset.runs()
        self.dataset, self._names = dataset, dataset.prompt_names()
        self._pictures = picture_keys(dataset.file)
        self.network, self.prompt = frame["network"].to_numpy(), frame["prompt"].to_numpy()
        self.noise = np.array([str(one) for one in frame["noise"]])
        self._seeds = frame["seed"].to_list()
        names, keys = (dataset.networks()[column].to_list() for column in ("name", "key"))
        # Networks of the same models may differ in how long they ran.
        self._networks = [
            name if names.count(name) == 1 else f"{name} {key[:8]}"
            for name, key in zip(names, keys, strict=True)
        ]

    def arm(self, name: str, rows: Iterable[int], rest: Callable[[int], str]) -> Arm:
        """Return runs as an arm; `rest` says what partners share beside prompt and seed."""
        pairs = {
            Pair(
                self._names[self.prompt[row]],
                self._seeds[row],
                rest(row),
                self._pictures.get(int(self.prompt[row]), ""),
            ): row
            for row in map(int, rows)
        }
        return Arm(name, self.dataset, pairs)

    def network_of(self, row: int) -> str:
        """Return the network of a run."""
        return str(self._networks[self.network[row]])

    def network_and_noise(self, row: int) -> str:
        """Return the network of a run, and its noise."""
        return f"{self.network_of(row)} ({self.noise[row]})"
