"""`panic-hpc compare`: which network is better under a measure, and whether that is luck."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Force, Json
from panic_hpc.cli.console.output import add_named_rows, columns, out, say, say_json, warn
from panic_hpc.plain_text import counted

if TYPE_CHECKING:
    from panic_hpc.analysis.comparing.comparison import ArmResult, Comparison
    from panic_hpc.store.dataset.dataset import Dataset

PANEL = ("The dataset", 2)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(compare)


def compare(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="DATASET…", help="Datasets, or experiments that are done."),
    ],
    measures: Annotated[
        list[str] | None,
        typer.Option("--measure", "-m", help="METRIC.COMPONENT:mean, say (repeatable)."),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="An arm, or a part of its name; else the first one.")
    ] = "",
    by: Annotated[
        str, typer.Option(help="What is compared: network, experiment, group or noise.")
    ] = "network",
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of intervals.")] = 0.95,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the networks side by side.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Compare networks under a measure: differences in pairs of equal prompt and seed.

    Intervals and p-values are over prompts, p-values corrected for all arms (Holm). Where no
    interval can be had it says why. Without --measure it lists the measures there are.
    """
    from panic_hpc.analysis.comparing.arms import arms_of, baseline_of
    from panic_hpc.analysis.comparing.comparison import compare as compare_arms
    from panic_hpc.disk.files import without_nan
    from panic_hpc.disk.overwriting import admit
    from panic_hpc.report.comparison_sheet import comparison_sheet
    from panic_hpc.voting.run_votes import VOTE_MEASURES, measured_votes

    with ExitStack() as stack:
        datasets = [stack.enter_context(opened(source)) for source in sources]
        if not measures:
            _list(datasets[0], as_json)
            return
        if sheet is not None:
            admit(sheet, [dataset.path for dataset in datasets], force=force)
        arms = arms_of(datasets, by)
        base = baseline_of(arms, baseline)
        more = measured_votes
        found = [compare_arms(arms, base, name, level=level, more=more) for name in measures]
        if sheet is not None:
            comparison_sheet(arms, measures, sheet, more)
    if as_json:
        drawn = {"sheet": str(sheet)} if sheet else {}
        say_json({"comparisons": [without_nan(asdict(one)) for one in found], **drawn})
        return
    for one in found:
        _print(one)
        if one.measure in VOTE_MEASURES:
            warn("  Over prompts alone: `panic-hpc vote` has intervals over voters too")
    if sheet is not None:
        say(f"{'sheet':20} {sheet}")


def opened(source: Path) -> "Dataset":
    """Open a dataset, or that of an experiment, which is merged first where it is not yet."""
    from panic_hpc.cli.datasets.export import dataset_path
    from panic_hpc.merging.assembling import MergeOptions
    from panic_hpc.stages.merge.experiments import merge
    from panic_hpc.store.dataset.dataset import open_dataset

    path = dataset_path(source)
    if source.is_dir() and not path.exists():
        merge([source], path, MergeOptions())
    return open_dataset(path)


def _list(dataset: "Dataset", as_json: bool) -> None:
    from panic_hpc.analysis.comparing.measures import known_measures
    from panic_hpc.voting.folder import votes_folder
    from panic_hpc.voting.run_votes import VOTE_MEASURES

    is_voted_on = any(votes_folder(dataset.path).glob("*.jsonl"))
    known = [*known_measures(dataset), *(VOTE_MEASURES if is_voted_on else ())]
    if as_json:
        say_json({"measures": known})
        return
    say(
        "Measures: those of metrics with :mean, :last, :first, :max, :min, :slope or :at=STEP",
        "bold",
    )
    for name in known:
        say(f"  {name}")


def _print(found: "Comparison") -> None:
    from panic_hpc.report.comparison_sheet import short_names

    results: Sequence[Any] = found.arms or found.sets
    names = short_names([found.baseline, *(one.name for one in results)])
    say(f"{found.measure}, compared with {found.baseline}{_size(found)}", "bold")
    if found.sets:
        _print_sets(found, names[1:])
    else:
        _print_arms(found, names[1:])


def _size(found: "Comparison") -> str:
    """Return on how many prompts and pairs the differences rest, the most that an arm has."""
    gaps = [one.difference for one in found.arms if one.difference]
    if not gaps:
        return ""
    most = max(gaps, key=lambda gap: gap.n_pairs)
    return f" ({counted(most.n_pairs, 'pair')} of {counted(most.n_units, 'prompt')})"


def _print_arms(found: "Comparison", names: Sequence[str]) -> None:
    interval = f"{found.level:.0%} interval"
    head = ("network", "mean", "difference", interval, "p", "p (Holm)")
    table = columns(*head, left=("network",))
    rows = ([name, *_cells(one)] for name, one in zip(names, found.arms, strict=True))
    add_named_rows(table, rows, names=0)
    out.print(table, soft_wrap=False)
    for name, one in zip(names, found.arms, strict=True):
        if said := one.note:
            warn(f"  {name}: {said}")


def _cells(one: "ArmResult") -> tuple[str, ...]:
    gap = one.difference
    if gap is None:
        return _number(one.mean), "", "", "", ""
    interval = "" if math.isnan(gap.low) else f"{gap.low:+.3f} to {gap.high:+.3f}"
    signed = "" if math.isnan(gap.mean) else f"{gap.mean:+.3f}"
    return _number(one.mean), signed, interval, _number(gap.p), _number(one.p_holm)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _print_sets(found: "Comparison", names: Sequence[str]) -> None:
    for name, one in zip(names, found.sets, strict=True):
        value = f"({one.value:.4g})" if one.is_biased else f"{one.value:.4g}"
        say(f"  {name}: {value}, {one.n} vectors against {one.n_baseline}")
    if any(one.is_biased for one in found.sets):
        warn("  In brackets: too few vectors for FID, which they make too large; see kid")
    if any(one.is_between_prompts for one in found.sets):
        say("  Over pairs of vectors of different prompts")
    if any(one.shares_prompts and not one.is_between_prompts for one in found.sets):
        warn("  Sets of the same prompts depend on each other, which makes distances too small")
