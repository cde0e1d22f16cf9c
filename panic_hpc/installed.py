"""What is installed, by kind: plugins in our own folders, and in other packages' entry points.

The only module that finds plugins by name. A plugin is any object with a `name`. Ours lie in the
folder of their kind, in modules that end in `PLUGINS = (...)`; another package declares

    [project.entry-points."panic_hpc.families"]
    anything = "their_package.module"        # a module with PLUGINS, or one plugin

and is found as soon as it is installed beside this one.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from panic_hpc.errors import PanicError, nearest
from panic_hpc.plain_text import one_line

# Names of stages and kinds of results become names of files.
_NAME = re.compile(r"[\w+.-]{1,100}")


@dataclass(frozen=True, slots=True)
class Kind:
    """Where plugins of one kind lie.

    In modules of `package` and of its subfolders `rooms`, or one `module` in any subfolder. What
    another package offers must have `members`.
    """

    noun: str
    package: str
    module: str = ""
    rooms: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


class PluginSource(NamedTuple):
    """Where plugins come from: a module, and the distribution that it is of, "" for ours."""

    module: str
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.owner} ({self.module})" if self.owner else self.module


KINDS: Mapping[str, Kind] = {
    "families": Kind(
        "model family",
        "panic_hpc.models.families",
        rooms=("autoregressive",),
        members=("entries", "settings", "build", "modalities"),
    ),
    "stages": Kind(
        "stage",
        "panic_hpc.stages",
        "stage",
        members=(
            *("after", "settings", "launch", "resumes", "problems", "models", "shards"),
            *("estimate", "longest_shard", "lacking", "execute"),
        ),
    ),
    "results": Kind(
        "kind of results", "panic_hpc.store.results", members=("stage", "columns", "per_model")
    ),
    "codecs": Kind(
        "codec of modality",
        "panic_hpc.stages.codecs",
        members=("problem", "encode", "decode", "plain", "digest"),
    ),
    "analyses": Kind(
        "analysis",
        "panic_hpc.analysis.analyses",
        rooms=("arriving", "staying", "returning", "mattering", "shape", "outputs"),
        members=("question", "asks", "function", "settings", "order"),
    ),
    "verbs": Kind(
        "verb", "panic_hpc.cli", rooms=("main_job", "while_it_runs", "experiments", "datasets")
    ),
}


@cache
def plugins(kind: str) -> Mapping[str, Any]:
    """Return {name: plugin} of a kind, ours first, in order of module and position.

    Raises PanicError where two plugins carry one name, or another package's cannot be imported or
    are none.
    """
    found: dict[str, Any] = {}
    for source, module in modules(kind):
        with blaming(source):
            own = [_sound(one, source, kind) for one in _held_by(module)]
        for plugin in own:
            if plugin.name in found:
                refuse_double(kind, plugin.name, source)
            found[plugin.name] = plugin
    return MappingProxyType(found)


def modules(kind: str) -> Iterator[tuple[PluginSource, Any]]:
    """Yield (its source, module) of everything that may hold plugins of a kind, ours first.

    What an entry point names may be a plugin itself instead of a module.
    """
    for name in _own_names(KINDS[kind]):
        yield PluginSource(name), importlib.import_module(name)
    yield from _foreign_modules(kind)


def refuse_double(kind: str, name: str, source: PluginSource) -> NoReturn:
    """Raise PanicError: two plugins of a kind are called `name`, the later one in `source`."""
    hint = _mend(source) if source.owner else ""
    raise PanicError(f"Two {kind} are named {name!r}, one of them in {source}", hint=hint)


@contextmanager
def blaming(source: PluginSource) -> Iterator[None]:
    """Tell whose it is where another package's code raises meanwhile, whatever that is.

    An error of our own code is left as it is.
    """
    try:
        yield
    except PanicError:
        raise
    # A module that calls sys.exit would end this process without a word.
    except (Exception, SystemExit) as error:
        if not source.owner:
            raise
        what = one_line(f"{type(error).__name__}: {error}", 300)
        raise PanicError(f"{source} cannot be used here ({what})", hint=_mend(source)) from error


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
    for source, package in _foreign_modules(kind):
        with blaming(source):
            places = [Path(place) for place in getattr(package, "__path__", ())]
        yield from places


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


def _foreign_modules(kind: str) -> Iterator[tuple[PluginSource, Any]]:
    for point in _entry_points(kind):
        source = PluginSource(
            point.value, point.dist.name if point.dist else "an installed package"
        )
        with blaming(source):
            module = point.load()
        yield source, module


def _mend(source: PluginSource) -> str:
    return f"pip uninstall {source.owner}, or mend it"


def _held_by(module: Any) -> tuple[Any, ...]:
    return tuple(getattr(module, "PLUGINS", None) or _single(module))


def _sound(plugin: Any, source: PluginSource, kind: str) -> Any:
    """Return a plugin; PanicError where another package's is none of this kind."""
    # Of ours a test looks: every process would pay for it.
    if not source.owner:
        return plugin
    name, noun = getattr(plugin, "name", None), KINDS[kind].noun
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        told = "of letters, digits, _ + . and - was expected"
        raise PanicError(
            f"{source} offers a {noun} with the name {one_line(repr(name), 60)}: one {told}",
            hint=_mend(source),
        )
    if missing := [member for member in KINDS[kind].members if not hasattr(plugin, member)]:
        raise PanicError(
            f"{source} offers {name!r}, which is no {noun}: it has no {', '.join(missing)}",
            hint=_mend(source),
        )
    return plugin


def _entry_points(kind: str) -> Any:
    return _all_entry_points().select(group=f"panic_hpc.{kind}")


@cache
def _all_entry_points() -> Any:
    # It reads a file of every installed distribution: once a process, and not once a question.
    return metadata.entry_points()


def _single(module: Any) -> tuple[Any, ...]:
    return (module,) if hasattr(module, "name") else ()
