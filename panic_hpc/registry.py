"""Plugins by folder: every module of a package may end in `PLUGINS = (...)`, found by name."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from panic_hpc.errors import PanicError


def collect(package: ModuleType | str) -> dict[str, Any]:
    """Return {name: plugin} over all modules of `package`, in order of module and position.

    A plugin is any object with a `name`. Raises PanicError where two carry one name.
    """
    if isinstance(package, str):
        package = importlib.import_module(package)
    plugins: dict[str, Any] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for plugin in getattr(module, "PLUGINS", ()):
            if plugin.name in plugins:
                raise PanicError(f"Two plugins of {package.__name__} are named {plugin.name!r}")
            plugins[plugin.name] = plugin
    return plugins


def lookup(plugins: Mapping[str, Any], name: str, noun: str) -> Any:
    """Return `plugins[name]`, or raise PanicError with the nearest names."""
    if name in plugins:
        return plugins[name]
    raise PanicError(f"There is no {noun} {name!r}", hint=nearest(name, plugins))


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return a sentence that offers the candidates closest to `name`, or lists them when few."""
    names = list(candidates)
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    if 0 < len(names) <= 12:
        return "Known: " + ", ".join(sorted(names))
    return ""
