"""Pictures: how many were kept, how large they are, and whether they grow simpler over a run."""

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.base import Analysis, AnalysisSettings
from panic_hpc.analysis.compared_networks import ComparedNetworks
from panic_hpc.analysis.estimators.bootstrap import mean_interval
from panic_hpc.analysis.estimators.variance.nested import PARTS, nested_shares
from panic_hpc.analysis.figure_spec import FigureSpec
from panic_hpc.analysis.findings import Findings, between, finite, units_of
from panic_hpc.analysis.results import (
    AnalysisResult,
    Quantity,
    ResultTable,
    Statement,
    refused,
)
from panic_hpc.analysis.trajectory_set import TrajectorySet, codes_of
from panic_hpc.errors import PanicError

TENTHS = 10
_NETWORKS = (
    Quantity("network", "its models", ""),
    Quantity("pictures", "that were kept", "pictures"),
    Quantity("bytes", "mean size as stored", "byte"),
    Quantity("low", "lower bound of it, over prompts; null: too few", "byte"),
    Quantity("high", "upper bound of it", "byte"),
    Quantity("smallest", "smallest size as stored", "byte"),
    Quantity("largest", "largest size as stored", "byte"),
    Quantity("width", "of the first picture; null: it cannot be read", "pixels"),
    Quantity("height", "of it", "pixels"),
)
_TENTHS = (
    Quantity("network", "its models", ""),
    Quantity("tenth", "of the steps of a run, from 0", ""),
    Quantity("pictures", "that were kept", "pictures"),
    Quantity("bytes", "mean size as stored: how much there is to see", "byte"),
)
_VARIANCE = (
    Quantity("network", "its models", ""),
    Quantity("part", "between prompts, between runs of a prompt, within runs", ""),
    Quantity("variance", "of the size; negative: no sign of it", "square of a byte"),
    Quantity("share", "share of the variance of size"),
    Quantity("low", "lower bound of it, over prompts; null: too few"),
    Quantity("high", "upper bound of it"),
)


def analyse_pictures(trajectories: TrajectorySet, settings: AnalysisSettings) -> AnalysisResult:
    """Measure the sizes of the pictures that were kept."""
    dataset = trajectories.dataset
    if dataset is None:
        return refused("pictures", "plain arrays have no pictures")
    if "images/offsets" not in dataset.file or dataset.file.rows("images/invocation") == 0:
        return refused("pictures", "the dataset kept no pictures")
    gathered = Findings()
    column = dataset.file.array
    sizes = np.diff(column("images/offsets")).astype(np.float64)
    made = column("images/invocation")
    edges = dataset.file.slice("runs/offsets", 0, dataset.n_runs + 1)
    runs = np.searchsorted(edges, made, side="right") - 1
    steps = np.maximum(np.diff(edges)[runs], 1)
    tenth = (made - edges[runs]) * TENTHS // steps
    networks: list[tuple[object, ...]] = []
    tenths: list[tuple[object, ...]] = []
    parts: list[tuple[object, ...]] = []
    compared = ComparedNetworks()
    codes, names = codes_of(trajectories.labels.network)
    for code, name in enumerate(names):
        mine = codes[runs] == code
        if not mine.any():
            gathered.lack("pictures", "none was kept", name)
            continue
        networks.append(
            _network(trajectories, name, runs[mine], sizes[mine], settings, compared, gathered)
        )
        with gathered.part("variance of size", str(name)):
            prompts = trajectories.labels.prompt[runs[mine]]
            parts += _variance(str(name), sizes[mine], runs[mine], prompts, settings)
        for number in np.unique(tenth[mine]).tolist():
            own = sizes[mine][tenth[mine] == number]
            tenths.append((name, int(number), len(own), float(own.mean())))
    compared.tell("A picture has {least:,.0f} to {most:,.0f} bytes", "size of pictures", "byte",
                  settings, gathered)  # fmt: skip
    tables = [
        ResultTable.of_rows("pictures", "network", _NETWORKS, networks),
        ResultTable.of_rows("sizes", "tenth of runs of a network", _TENTHS, tenths),
        ResultTable.of_rows("size_variance", "part of a network", _VARIANCE, parts),
    ]
    return gathered.result(tables, units_of(trajectories.labels))


def _network(
    trajectories: TrajectorySet,
    name: str,
    runs: NDArray[np.int64],
    sizes: NDArray[np.float64],
    settings: AnalysisSettings,
    compared: ComparedNetworks,
    gathered: Findings,
) -> tuple[object, ...]:
    own, place = np.unique(runs, return_inverse=True)
    means = np.bincount(place, sizes) / np.bincount(place)
    prompts = trajectories.labels.prompt[own].tolist()
    compared.add(name, means.tolist(), prompts)
    mean, low, high = mean_interval(means, prompts, settings)
    gathered.statements.append(
        Statement(
            name, f"Pictures have {mean:,.0f} bytes{between(low, high, settings.level, ',.0f')}",
            mean, low, high, settings.level, "byte", len(set(prompts)), "prompts",
        )
    )  # fmt: skip
    bounds = (None, None) if low != low else (low, high)
    shape = _shape(trajectories, int(own[0]), name, gathered)
    return (name, len(sizes), mean, *bounds, float(sizes.min()), float(sizes.max()), *shape)


def _variance(
    name: str,
    sizes: NDArray[np.float64],
    runs: NDArray[np.int64],
    prompts: NDArray[np.str_],
    settings: AnalysisSettings,
) -> list[tuple[object, ...]]:
    """Return a row a part; what wanders for long counts as the run's, for runs are short."""
    found = nested_shares(sizes, runs, prompts, settings.level)
    columns = (found.variances, found.shares, found.low, found.high)
    rows = zip(PARTS, *columns, strict=True)
    return [(name, part, *values, finite(low), finite(high)) for part, *values, low, high in rows]


def _shape(
    trajectories: TrajectorySet, run: int, name: str, gathered: Findings
) -> tuple[int | None, int | None]:
    """Return width and height of a run's first picture."""
    try:
        assert trajectories.dataset is not None
        picture = trajectories.dataset.image(run, trajectories.dataset.image_steps(run)[0])
    except PanicError as error:
        gathered.lack("width and height", str(error), name)
        return None, None
    return int(picture.shape[1]), int(picture.shape[0])


PLUGINS = (
    Analysis(
        name="pictures",
        question="What do the outputs look like?",
        asks="how many pictures were kept, how large they are, whether they grow simpler",
        function=analyse_pictures,
        per_model=False,
        order=510,
        figures=(
            FigureSpec(
                name="sizes",
                table="sizes",
                form="lines",
                title="Bytes of a picture along runs",
                caption="Mean of each tenth of the runs: simpler pictures take fewer.",
                x="tenth",
                y="bytes",
                series="network",
            ),
            FigureSpec(
                name="size_variance",
                table="size_variance",
                form="intervals",
                title="What the size of a picture depends on",
                caption="Shares of its variance between prompts, between runs of a prompt, and "
                "within runs, interval over prompts; 0 (line): none.",
                x="part",
                y="share",
                panels="network",
                reference=0.0,
                low="low",
                high="high",
            ),
        ),
    ),
)
