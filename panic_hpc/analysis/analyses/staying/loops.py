"""Exact loops: which runs repeat an earlier text, and whether that proves that they are stuck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS, share_interval
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import too_few
from panic_hpc.analysis.results import (
    AnalysisResult,
    NotDone,
    Quantity,
    ResultTable,
    Statement,
    refused,
)
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of
from panic_hpc.plain_text import counted

RecurrentSet = tuple[str, int, frozenset[object]]
"""Network, seed, and the texts that a run goes through again and again: the map is the same."""
_COLUMNS = (
    Quantity("run", "row of the run in the dataset", ""),
    Quantity("network", "its network", ""),
    Quantity("noise", "fixed or per_step", ""),
    Quantity("states", "its texts", "states"),
    Quantity("distinct", "different ones of them", "states"),
    Quantity("first_repeat", "state that was there before, null: none", "states"),
    Quantity("lag", "states since it was there, null: none", "states"),
    Quantity("recurrent", "texts that come back at least once", "states"),
    Quantity("is_loop", "whether a loop stopped it, or its end repeats with that lag", ""),
)
_SHARES = (
    Quantity("network", "name of the network", ""),
    Quantity("noise", "fixed or per_step", ""),
    Quantity("share", "runs that end in an exact loop"),
    Quantity("low", "lower end of its interval, over prompts"),
    Quantity("high", "upper end of its interval"),
    Quantity("prompts", "prompts that it rests on", "prompts"),
)


_SETS = (
    Quantity("network", "name of the network", ""),
    Quantity("seed", "whose noise is the same at each step", ""),
    Quantity("states", "different texts of the cycle", "states"),
    Quantity("runs", "runs that end in it", "runs"),
    Quantity("prompts", "prompts from which they began", "prompts"),
    Quantity("before", "median number of states before a run is in it", "states"),
    Quantity("text", "one of them, the first by alphabet", ""),
)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Repeats in a sequence: None where nothing comes back.

    distinct, recurrent   numbers of different items, and of those that come back
    first, lag            place of the first item that was there before, and how long before
    is_loop               whether everything from there on repeats with that lag
    """

    distinct: int
    recurrent: int
    first: int | None = None
    lag: int | None = None
    is_loop: bool = False


def repeats(items: Sequence[object]) -> Repeats:
    """Return what comes back in a sequence, by equality."""
    seen: dict[object, int] = {}
    counts: dict[object, int] = {}
    first = lag = None
    for place, item in enumerate(items):
        if first is None and item in seen:
            first, lag = place, place - seen[item]
        seen[item] = place
        counts[item] = counts.get(item, 0) + 1
    recurrent = sum(count > 1 for count in counts.values())
    if first is None or lag is None:
        return Repeats(len(counts), recurrent)
    is_loop = all(items[t] == items[t - lag] for t in range(first, len(items)))
    return Repeats(len(counts), recurrent, first, lag, is_loop)


def analyse_loops(trajectories: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Find exact repeats in the texts of every run."""
    if trajectories.texts is None or not trajectories.lengths.any():
        return refused("loops", "there are no texts")
    labels = trajectories.labels
    rows: list[tuple[object, ...]] = []
    sets: dict[RecurrentSet, list[tuple[str, int]]] = {}
    by_network: dict[tuple[str, str], list[tuple[str, Repeats]]] = {}
    for run in range(trajectories.n_runs):
        texts = list(trajectories.texts(run))
        own = repeats(texts)
        if labels.ended[run] == "loop":  # it was stopped there: pictures may repeat before texts do
            own = replace(own, is_loop=True)
        network, noise = str(labels.network[run]), str(labels.noise[run])
        rows.append((run, network, noise, len(texts), own.distinct, own.first, own.lag,
                     own.recurrent, own.is_loop))  # fmt: skip
        if noise == "fixed" and own.is_loop and own.lag and own.first:
            cycle = frozenset(texts[own.first - own.lag : own.first])
            there = sets.setdefault((network, int(labels.seed[run]), cycle), [])
            there.append((str(labels.prompt[run]), own.first - own.lag))
        if len(texts) > 1:
            by_network.setdefault((network, noise), []).append((str(labels.prompt[run]), own))
    statements = [
        _statement(network, noise, own, settings) for (network, noise), own in by_network.items()
    ]
    told = [_sets_statement(sets)] if sets else []
    short = sum(length < 2 for length in trajectories.lengths)
    not_done = (
        [NotDone("loops", f"{counted(short, 'run')} with fewer than two texts")] if short else []
    )
    not_done += [
        NotDone(f"interval of {network}", too_few(n))
        for (network, _), own in by_network.items()
        if (n := len({prompt for prompt, _ in own})) < FEWEST_UNITS
    ]
    tables = [
        ResultTable.of_rows("loops", "run", _COLUMNS, rows),
        *([_sets_table(sets)] if sets else []),
        ResultTable.of_rows(
            "shares",
            "network",
            _SHARES,
            (
                (network, noise, one.value, one.low, one.high, one.n)
                for (network, noise), one in zip(by_network, statements, strict=True)
            ),
        ),
    ]
    n_units = {"runs": trajectories.n_runs, "prompts": len(codes_of(labels.prompt)[1])}
    return AnalysisResult([*statements, *told], tables, not_done=not_done, n_units=n_units)


def _sets_table(sets: Mapping[RecurrentSet, Sequence[tuple[str, int]]]) -> ResultTable:
    rows = [
        (network, seed, len(cycle), len(runs), len({prompt for prompt, _ in runs}),
         float(median(before for _, before in runs)), min(map(str, cycle)))
        for (network, seed, cycle), runs in sets.items()
    ]  # fmt: skip
    return ResultTable.of_rows("recurrent_sets", "set of a network and seed", _SETS, rows)


def _sets_statement(sets: Mapping[RecurrentSet, Sequence[tuple[str, int]]]) -> Statement:
    sizes = [len(cycle) for _, _, cycle in sets]
    shared = sum(len({prompt for prompt, _ in runs}) > 1 for runs in sets.values())
    return Statement(
        "recurrent sets",
        f"Under fixed noise runs end in {len(sets)} recurrent sets of {min(sizes)} to {max(sizes)} "
        f"states, {shared} of them reached from several prompts",
    )


def answer(result: AnalysisResult) -> Statement | None:
    """Return whether runs are stuck in exact loops: in how many networks some are."""
    if result.statements and not any(one.value for one in result.statements):
        sentence = "Not in an exact loop: no run ends in repeats of an earlier text"
        return replace(result.statements[0], subject="", sentence=sentence)
    return _by_network(result)


_by_network = in_networks(
    "runs end in exact loops", lambda one: one.value > 0, "shares of runs", ".0%"
)


def _statement(
    network: str, noise: str, own: list[tuple[str, Repeats]], settings: AnalysisSettings
) -> Statement:
    prompts = [prompt for prompt, _ in own]
    looped = [one.is_loop for _, one in own]
    share, low, high = share_interval(looped, prompts, settings)
    lags = sorted({one.lag for _, one in own if one.is_loop and one.lag})
    proof = (
        "which proves that they are stuck, for the same input meets the same noise"
        if noise == "fixed"
        else "which proves nothing under noise that changes each step: short texts recur by chance"
    )
    n_prompts = len(set(prompts))
    interval = f" ({settings.level:.0%} interval {low:.0%} to {high:.0%})" if low == low else ""
    lengths = f", {', '.join(map(str, lags))} long" if lags else ""
    said = f"{share:.0%} of {counted(len(own), 'run')}{interval} end in an exact loop{lengths}"
    sentence = f"{said}, {proof}" if any(looped) else said
    return Statement(network, sentence, share, low, high, settings.level, "1", n_prompts, "prompts")


PLUGINS = (
    Analysis(
        name="loops",
        question=QUESTIONS[1],
        asks="which runs repeat an earlier text exactly, and whether that is proof",
        function=analyse_loops,
        per_model=False,
        order=40,
        answer=answer,
        figures=(
            FigureSpec(
                name="loops_by_network",
                table="shares",
                form="intervals",
                title="Runs that end in an exact loop",
                caption="Share of each network's runs; intervals by drawing prompts anew. Only "
                "under fixed noise is a loop a proof.",
                x="network",
                y="share",
                series="noise",
                low="low",
                high="high",
            ),
        ),
    ),
)
