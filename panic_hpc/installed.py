"""What is installed, by kind: plugins in our own folders, and in other packages' entry points.

The only module that finds plugins by name. A plugin is any object with a `name`. Ours lie in the
folder of their kind, in modules that end in `PLUGINS = (...)`; another package declares

    [project.entry-points."panic_hpc.families"]
    anything = "their_package.module"        # a module with PLUGINS, or one plugin

and is found as soon as it is installed beside this one.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from panic_hpc.errors import PanicError, nearest


@dataclass(frozen=True, slots=True)
class Kind:
    """Where plugins of one kind lie.

    In modules of `package` and of its subfolders `rooms`, or one `module` in any subfolder.
    """

    noun: str
    package: str
    module: str = ""
    rooms: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "families": Kind("model family", "panic_hpc.models.families", rooms=("autoregressive",)),
    "stages": Kind("stage", "panic_hpc.stages", "stage"),
    "results": Kind("kind of results", "panic_hpc.store.results"),
    "codecs": Kind("codec of modality", "panic_hpc.stages.codecs"),
    "analyses": Kind(
        "analysis",
        "panic_hpc.analysis.analyses",
        rooms=("arriving", "staying", "returning", "mattering", "shape", "outputs"),
    ),
    "verbs": Kind(
        "verb", "panic_hpc.cli", rooms=("main_job", "while_it_runs", "experiments", "datasets")
    ),
}


@cache
def plugins(kind: str) -> Mapping[str, Any]:
    """Return {name: plugin} of a kind, ours first, in order of module and position.

    Raises PanicError where two plugins carry one name, or another package's cannot be imported.
    """
    found: dict[str, Any] = {}
    for source, module in modules(kind):
        for plugin in getattr(module, "PLUGINS", None) or _single(module):
            if plugin.name in found:
                raise PanicError(f"Two {kind} are named {plugin.name!r}, one of them in {source}")
            found[plugin.name] = plugin
    return MappingProxyType(found)


def modules(kind: str) -> Iterator[tuple[str, Any]]:
    """Yield (its name, module) of everything that may hold plugins of a kind, ours first.

    What an entry point names may be a plugin itself instead of a module.
    """
    for name in _own_names(KINDS[kind]):
        yield name, importlib.import_module(name)
    yield from _foreign_modules(kind)


def plugin(kind: str, name: str) -> Any:
    """Return the plugin of that name, or raise PanicError with the nearest names."""
    return lookup(plugins(kind), name, KINDS[kind].noun)


def names(kind: str) -> tuple[str, ...]:
    """Return what plugins of a kind that is one folder each are called; imports none of them."""
    own = (name.split(".")[-2] for name in _own_names(KINDS[kind]))
    return tuple(dict.fromkeys((*own, *(point.name for point in _entry_points(kind)))))


def folders(kind: str) -> Iterator[Path]:
    """Yield the folders of other packages' files of a kind, such as cluster profiles.

    Their entry points name packages, which are imported for where they lie.
    """
    for _, package in _foreign_modules(kind):
        yield from map(Path, getattr(package, "__path__", ()))


def forget() -> None:
    """Look again at the next question: for tests, whose plugins come and go."""
    plugins.cache_clear()
    _all_entry_points.cache_clear()


def lookup(known: Mapping[str, Any], name: str, noun: str) -> Any:
    """Return `known[name]`, or raise PanicError with the nearest names."""
    if name in known:
        return known[name]
    raise PanicError(f"There is no {noun} {name!r}", hint=nearest(name, known))


def _own_names(kind: Kind) -> Iterator[str]:
    for place in (kind.package, *(f"{kind.package}.{room}" for room in kind.rooms)):
        folders = importlib.import_module(place).__path__
        for name in sorted(info.name for info in pkgutil.iter_modules(folders)):
            if kind.module:
                if _has_module(folders, name, kind.module):
                    yield f"{place}.{name}.{kind.module}"
            elif name not in kind.rooms:
                yield f"{place}.{name}"


def _has_module(folders: Any, subfolder: str, module: str) -> bool:
    return any((Path(folder) / subfolder / f"{module}.py").is_file() for folder in folders)


def _foreign_modules(kind: str) -> Iterator[tuple[str, Any]]:
    for point in _entry_points(kind):
        try:
            yield point.value, point.load()
        # Whatever a stranger's module raises: it must be told whose it is.
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            owner = point.dist.name if point.dist else "an installed package"
            raise PanicError(
                f"{owner} offers {point.name!r} to panic_hpc.{kind}, which cannot be imported "
                f"({what})",
                hint=f"pip uninstall {owner}, or mend it",
            ) from error


def _entry_points(kind: str) -> Any:
    return _all_entry_points().select(group=f"panic_hpc.{kind}")


@cache
def _all_entry_points() -> Any:
    # It reads a file of every installed distribution: once a process, and not once a question.
    return metadata.entry_points()


def _single(module: Any) -> tuple[Any, ...]:
    return (module,) if hasattr(module, "name") else ()
