"""Versions of installed distributions, found without importing them."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_OWN = "panic-hpc"


@cache
def version_of(name: str) -> str:
    """Return the version of the distribution `name`, "" where it is not installed."""
    # A search of all of sys.path: a millisecond each, more where that is a shared file system.
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def own_version() -> str:
    """Return the version of this package, or that it is not installed, for people."""
    return version_of(_OWN) or "(not installed)"


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed, by name."""
    return {name: found for name in names if (found := version_of(name))}
