"""Door to the lazy engine: the native core of this package."""

from panic_hpc.homology.api import Outcome, Request
from panic_hpc.homology.cloud import Cloud
from panic_hpc.homology.native_core import load_native


def solve(cloud: Cloud, request: Request, spent: float) -> Outcome:
    """Diagrams of `cloud` by the native core."""
    load_native()
    raise NotImplementedError
