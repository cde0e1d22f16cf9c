"""Libraries that some models need and the compute extra does not bring, found without imports."""

from collections.abc import Iterable
from importlib.util import find_spec

from panic_hpc.errors import ModelError

MODULES = {"beautifulsoup4": "bs4"}
"""What a distribution is imported as, where that is another name."""


def not_installed(distributions: Iterable[str]) -> list[str]:
    """Return those of some distributions that cannot be imported here; none is."""
    return [name for name in distributions if find_spec(MODULES.get(name, name)) is None]


def require_installed(model: str, distributions: Iterable[str]) -> None:
    """Raise ModelError that names each library which `model` needs and this environment lacks."""
    if absent := not_installed(distributions):
        raise ModelError(
            f"{model} needs {' and '.join(absent)}, not installed here",
            hint=f"pip install {' '.join(absent)}",
        )
