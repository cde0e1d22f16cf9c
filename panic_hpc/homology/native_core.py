"""Door to the native core; absent where the package was installed without a compiler."""

from types import ModuleType

from panic_hpc.errors import HomologyError
from panic_hpc.extras import compiled


def find_native() -> ModuleType | None:
    """The compiled module, or None if this installation has none."""
    return compiled("panic_hpc.homology._native")


def load_native() -> ModuleType:
    """The compiled module; HomologyError says how to get it."""
    native = find_native()
    if native is None:
        raise HomologyError(
            "the native core (engine lazy) is not part of this installation",
            hint='Install with a C++17 compiler and without PANIC_HPC_PURE, or use engine="gudhi".',
        )
    return native
