"""Door to the native core; absent where the package was installed without a compiler."""

import importlib
from types import ModuleType

from panic_hpc.errors import HomologyError


def find_native() -> ModuleType | None:
    """The compiled module, or None if this installation has none."""
    try:
        return importlib.import_module("panic_hpc.homology._native")
    # Not ImportError: a core that is there and cannot be loaded must be heard of.
    except ModuleNotFoundError:
        return None


def load_native() -> ModuleType:
    """The compiled module; HomologyError says how to get it."""
    native = find_native()
    if native is None:
        raise HomologyError(
            "the native core (engine lazy) is not part of this installation",
            hint='Install with a C++17 compiler and without PANIC_HPC_PURE, or use engine="gudhi".',
        )
    return native
