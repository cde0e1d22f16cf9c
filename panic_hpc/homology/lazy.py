"""Door to the lazy engine: the native core of this package."""

from panic_hpc.errors import HomologyError
from panic_hpc.homology.cloud import Cloud
from panic_hpc.homology.cost import LAZY_MAXDIM, NOISE_RATIO
from panic_hpc.homology.engine import Outcome, Request
from panic_hpc.homology.native_core import load_native

FEW_POINTS = 1024
"""Up to here loops are swept edge by edge; of more points, those of noise only."""

MANY_POINTS = 6000
"""From here on, up to H2, it pays to show that long edges begin nothing and to leave them out."""


def solve(cloud: Cloud, request: Request, spent: float) -> Outcome:
    """Diagrams of `cloud` by the native core; `spent` seconds of its time are gone already."""
    if request.maxdim > LAZY_MAXDIM:
        raise HomologyError(
            f"engine lazy knows no dimension {request.maxdim}",
            hint='Use maxdim 0, 1 or 2, or engine="giotto-ph".',
        )
    native = load_native()
    try:
        found = native.compute(
            cloud.matrix if cloud.rows is None else cloud.rows,
            order=cloud.order,
            maxdim=request.maxdim,
            thresh=request.thresh,
            noise_ratio=NOISE_RATIO,
            few_points=FEW_POINTS,
            many_points=MANY_POINTS,
            threads=request.threads,
            # 0 means no limit here and below; a time limit already past was answered before.
            seconds=0.0 if request.time_limit_s is None else request.time_limit_s - spent,
            bytes=request.memory_limit_bytes or 0,
            operations=request.budget or 0,
        )
    except OverflowError as error:
        raise HomologyError(str(error), hint="Scale the points down.") from error
    return Outcome(
        dgms=found["diagrams"],
        seconds=found["seconds"],
        peak_bytes=found["peak_bytes"],
        columns_reduced=tuple(found["columns"]),
        operations=found["operations"],
        stopped_reason=found["stopped"],
    )
