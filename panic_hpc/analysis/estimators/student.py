"""Student's t: the reach of an interval, and p-values of an estimate by its standard error.

The only place that has it: what jackknives, means of units and fitted lines have in common.
"""


def reach(error: float, level: float, freedom: int) -> float:
    """Return how far an interval goes to both sides of an estimate; nan of no degree of freedom."""
    return error * quantile((1 + level) / 2, freedom)


def quantile(share: float, freedom: int) -> float:
    """Return the value below which a share of the distribution lies; nan of no freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share)) if freedom > 0 else float("nan")


def p_above(away: float, error: float, freedom: int) -> float:
    """Return p, one-sided, that what is estimated at `away` is 0 or less; nan where error is 0."""
    from scipy.special import stdtr

    known = error > 0 and freedom > 0
    return float(stdtr(freedom, -away / error)) if known else float("nan")


def p_differs(away: float, error: float, freedom: int) -> float:
    """Return p, two-sided, that what is estimated at `away` is 0; nan where error is 0."""
    return 2 * p_above(abs(away), error, freedom)
