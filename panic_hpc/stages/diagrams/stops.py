"""What may stop a diagram from outside the experiment, and what becomes of one that was. Pure.

Time and memory differ between machines, so whatever they stop must be the exception: a diagram
that the walltime cut short is left for the next job, one too large for its share of the memory is
tried again alone with all of it. Only where that does not help either is it recorded, `incomplete`.
"""

from collections.abc import Collection

from panic_hpc.stages.diagrams.one_diagram import Diagram, SafetyStops

GOOD_SHARE = 0.8
"""Of the memory; the rest is for what nobody counts: the page cache, libraries, this process."""

PROCESS_BYTES = 150_000_000
"""An interpreter with numpy and the engine, before its first diagram."""

WHOLE = 0.9
"""A diagram that had this share of a job's time had the job."""

ATTEMPTS = 2
"""Jobs that a diagram gets to itself before it is recorded as incomplete."""


def safety_stops(deadline: float | None, memory_bytes: int | None, n_processes: int) -> SafetyStops:
    """Return what each of `n_processes` may take of a job's time and memory."""
    if memory_bytes is None:
        return SafetyStops(deadline, None)
    # Per process and not per diagram, for each has its interpreter besides.
    share = GOOD_SHARE * memory_bytes / n_processes - PROCESS_BYTES
    return SafetyStops(deadline, max(1, int(share)))


def had_the_job(diagram: Diagram, job_seconds: float) -> bool:
    """Whether a diagram stopped by the deadline had been at work for nearly all of `job_seconds`.

    The first attempt may begin late in a job; the next job begins with it, longest first.
    """
    return diagram.stopped_by == "deadline" and diagram.elapsed >= WHOLE * job_seconds


def is_final(diagram: Diagram, attempts: int, *, is_alone: bool) -> bool:
    """Whether a diagram goes on record as it is; `attempts` were made by jobs it had to itself."""
    if diagram.stopped_by == "deadline":
        return attempts >= ATTEMPTS
    return diagram.stopped_by != "memory" or is_alone


def remark(reasons: Collection[str], n_runs: int) -> str:
    """Return what is to be told of a shard with incomplete diagrams, "" where it has none."""
    if not reasons:
        return ""
    words = ", ".join(sorted({reason.splitlines()[0] for reason in reasons}))
    return f"{len(reasons)} of {n_runs} diagrams are incomplete ({words})"
