"""Numbers as the page writes them."""

import math

from panic_hpc.analysis.results import Statement


def number(value: float) -> str:
    """Return a number with four digits that count: 0.01235, 1,235, 1.235e-07."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def interval(statement: Statement) -> str:
    """Return a statement's number with its interval, level, unit and units of replication."""
    if not math.isfinite(statement.value):
        return ""
    unit = "" if statement.unit in ("", "1") else f" {statement.unit}"
    said = f"{number(statement.value)}{unit}"
    if math.isfinite(statement.low) and math.isfinite(statement.high):
        ends = f"{number(statement.low)} to {number(statement.high)}"
        said += f" ({statement.level:.0%} interval {ends})"
    return ", ".join(filter(None, (said, units(statement))))


def units(statement: Statement) -> str:
    """Return how many independent units a statement rests on, "" where it does not say."""
    return f"n = {statement.n:,} {statement.replication}" if statement.n else ""
