"""Exact loops: which runs repeat an earlier text, and whether that proves that they are stuck."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from panic_hpc.analysis.answering import in_networks
from panic_hpc.analysis.base import QUESTIONS, Analysis, AnalysisSettings
from panic_hpc.analysis.estimators.bootstrap import FEWEST_UNITS, share_interval
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.results import (
    AnalysisResult,
    NotDone,
    Quantity,
    ResultTable,
    Statement,
    refused,
)
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of

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


def analyse_loops(found: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Find exact repeats in the texts of every run."""
    if found.texts is None or not found.lengths.any():
        return refused("loops", "there are no texts")
    labels = found.labels
    rows: list[tuple[object, ...]] = []
    by_network: dict[tuple[str, str], list[tuple[str, Repeats]]] = {}
    for run in range(found.n_runs):
        texts = list(found.texts(run))
        own = repeats(texts)
        if labels.ended[run] == "loop":  # it was stopped there: pictures may repeat before texts do
            own = replace(own, is_loop=True)
        network, noise = str(labels.network[run]), str(labels.noise[run])
        rows.append((run, network, noise, len(texts), own.distinct, own.first, own.lag,
                     own.recurrent, own.is_loop))  # fmt: skip
        if len(texts) > 1:
            by_network.setdefault((network, noise), []).append((str(labels.prompt[run]), own))
    statements = [
        _statement(network, noise, own, settings) for (network, noise), own in by_network.items()
    ]
    short = sum(length < 2 for length in found.lengths)
    not_done = [NotDone("loops", f"{short} runs have fewer than two texts")] if short else []
    not_done += [
        NotDone(f"interval of {network}", f"{n} prompts; an interval takes {FEWEST_UNITS}")
        for (network, _), own in by_network.items()
        if (n := len({prompt for prompt, _ in own})) < FEWEST_UNITS
    ]
    tables = [
        ResultTable.of_rows("loops", "run", _COLUMNS, rows),
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
    n_units = {"runs": found.n_runs, "prompts": len(codes_of(labels.prompt)[1])}
    return AnalysisResult(statements, tables, not_done=not_done, n_units=n_units)


def answer(found: AnalysisResult) -> Statement | None:
    """Return whether runs are stuck in exact loops: in how many networks some are."""
    if found.statements and not any(one.value for one in found.statements):
        sentence = "Not in an exact loop: no run ends in repeats of an earlier text"
        return replace(found.statements[0], subject="", sentence=sentence)
    return _by_network(found)


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
    lengths = f", of {', '.join(map(str, lags))} states" if lags else ""
    said = f"{share:.0%} of {len(own)} runs{interval} end in an exact loop{lengths}"
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
