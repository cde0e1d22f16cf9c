"""From a model's name and settings to all that decides its output."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from panic_hpc.errors import ConfigError, ModelError, nearest
from panic_hpc.experiment.catalogue import Catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.base import find_family, loader_of
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.settings import identity_of
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec
from panic_hpc.validation.problems import explained, shown

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
OWN_KEYS = ("family", "repository", "revision", "path", "seconds")
"""Keys of a [models.X] table that are not settings of its family."""

DEFAULT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Resolved:
    """An experiment's models by name, their seconds an item, and what is wrong with the rest."""

    specs: Mapping[str, ModelSpec]
    seconds: Mapping[str, float]
    problems: tuple[str, ...]


def resolve(experiment: Experiment, catalogue: Catalogue) -> Resolved:
    """Return every model that `experiment` names, settings filled in and local folders digested."""
    specs: dict[str, ModelSpec] = {}
    seconds: dict[str, float] = {}
    problems: list[str] = []
    for name, place in _places(experiment).items():
        table = _table_for(name, experiment, catalogue)
        try:
            specs[name] = _resolved(name, place, table, catalogue)
            seconds[name] = _seconds(name, table, catalogue)
        except ConfigError as error:
            problems += error.problems
    return Resolved(specs, seconds, tuple(problems or _unread_limit(experiment, specs)))


def _unread_limit(experiment: Experiment, specs: Mapping[str, ModelSpec]) -> list[str]:
    limit = experiment.i2t_max_new_tokens
    captioners = [spec for spec in specs.values() if spec.produces == TEXT]
    if not limit or any("max_new_tokens" in spec.settings for spec in captioners):
        return []
    return [f"i2t_max_new_tokens = {limit}: no captioner of this experiment counts tokens"]


def _places(experiment: Experiment) -> dict[str, str]:
    """Return {model name: where it is first written}; a draft's blank entries have no name."""
    places: dict[str, str] = {}
    for i, network in enumerate(experiment.networks):
        for j, name in enumerate(network.models):
            places.setdefault(name, f"networks[{i}][{j}]")
    for i, name in enumerate(experiment.embedding_models):
        places.setdefault(name, f"embedding_models[{i}]")
    for name in experiment.models:
        places.setdefault(name, f"models.{name}")
    places.pop("", None)
    return places


def _table_for(name: str, experiment: Experiment, catalogue: Catalogue) -> dict[str, Any]:
    """Return the [models.X] table, with upstream's one setting for all captioners beneath it."""
    table = dict(experiment.models.get(name, {}))
    family = find_family(catalogue.families, str(table.get("family", catalogue.owners.get(name))))
    if experiment.i2t_max_new_tokens and _limits_captions(family, catalogue.entries.get(name)):
        # Beneath the model's own table: what is said of one model goes before what is said of all.
        table.setdefault("max_new_tokens", experiment.i2t_max_new_tokens)
    return table


def _limits_captions(family: Any, entry: ModelEntry | None) -> bool:
    is_captioner = entry is None or (entry.consumes, entry.produces) == (IMAGE, TEXT)
    return is_captioner and bool(family) and "max_new_tokens" in family.settings.model_fields


def _resolved(name: str, place: str, table: dict[str, Any], catalogue: Catalogue) -> ModelSpec:
    family, entry = _family_and_entry(name, place, table, catalogue)
    settings, problems = _settings(name, table, family, entry)
    origin, found = _origin(name, table, family, entry)
    if problems or found:
        raise ConfigError(f"models.{name}", [*problems, *found])
    consumes, produces = _modalities(name, settings, family, entry)
    values = identity_of(settings)
    return ModelSpec(
        name=name,
        family=family.name,
        consumes=consumes,
        produces=produces,
        repository=origin[0],
        revision=origin[1],
        path=origin[2],
        # Apart from the others because stages need it, but part of the identity: batch shape
        # decides bits.
        batch_size=values.pop("batch_size"),
        settings=values,
        loader=loader_of(family) if loader_of(family) != family.name else "",
    )


def _modalities(name: str, settings: Any, family: Any, entry: ModelEntry | None) -> tuple[str, str]:
    """Return (consumes, produces); settings must not turn a known model into another kind."""
    known = (entry.consumes, entry.produces) if entry else None
    try:
        told = family.modalities(settings)
    except (ModelError, NotImplementedError) as error:
        if known:
            return known
        raise ConfigError(name, [f"models.{name}: {error}"]) from error
    if known and told != known:
        kinds = f"{' to '.join(known)} into one of {' to '.join(told)}"
        text = f"models.{name}: its settings turn a model of {kinds}; choose another name"
        raise ConfigError(name, [text])
    return str(told[0]), str(told[1])


def _family_and_entry(
    name: str, place: str, table: Mapping[str, Any], catalogue: Catalogue
) -> tuple[Any, ModelEntry | None]:
    entry, listed = catalogue.entries.get(name), catalogue.owners.get(name, "")
    wanted = table.get("family", listed)
    if not wanted:
        where = place if place == f"models.{name}" else f"{place} = {shown(name)}"
        hint = nearest(name, catalogue.entries) or "`panic-hpc models list` shows what there is"
        raise ConfigError(place, [f"{where}: no such model. {hint}".rstrip()])
    family = find_family(catalogue.families, wanted) if isinstance(wanted, str) else None
    if family is None:
        hint = nearest(str(wanted), catalogue.families)
        text = f"models.{name}.family = {shown(wanted)}: no such model family. {hint}"
        raise ConfigError(place, [text.rstrip()])
    if entry and family.name != listed:
        text = f"models.{name}.family = {shown(wanted)}: {name} is the name of a model of {listed}"
        raise ConfigError(place, [f"{text}; choose another name"])
    return family, entry


def _settings(
    name: str, table: Mapping[str, Any], family: Any, entry: ModelEntry | None
) -> tuple[Any, list[str]]:
    own = {key: value for key, value in table.items() if key not in OWN_KEYS}
    values = {**(entry.defaults if entry else {}), **own}
    keys = (*family.settings.model_fields, *OWN_KEYS)
    try:
        return family.settings.model_validate(values, strict=True), []
    except ValidationError as error:
        return None, explained(error, ("models", name), keys)


def _origin(
    name: str, table: Mapping[str, Any], family: Any, entry: ModelEntry | None
) -> tuple[tuple[str, str, str], list[str]]:
    """Return (repository, revision, path) of the weights, and what is wrong with them."""
    texts = {key: table[key] for key in ("repository", "revision", "path") if key in table}
    for key, value in texts.items():
        if not isinstance(value, str) or not value.isprintable() or not value:
            return ("", "", ""), [f"models.{name}.{key} = {shown(value)}: a text was expected"]
    if texts and not _has_weights(family):
        return ("", "", ""), [f"models.{name}.{next(iter(texts))}: {family.name} has no weights"]
    if "path" in texts:
        return _folder(name, texts)
    repository = texts.get("repository", entry.repository if entry else "")
    revision = texts.get("revision", entry.revision if entry else "")
    return (repository, revision, ""), _origin_problems(name, texts, family, entry)


def _folder(name: str, texts: Mapping[str, str]) -> tuple[tuple[str, str, str], list[str]]:
    place = f"models.{name}"
    if "repository" in texts:
        return ("", "", ""), [f"{place}: repository and path: only one of them can be given"]
    try:
        # Reads all weights once, at plan: a path is true of one machine, the digest of every one.
        digest = folder_digest(Path(texts["path"]))
    except ModelError as error:
        return ("", "", ""), [f"{place}.path = {shown(texts['path'])}: {error.message}"]
    if texts.get("revision", digest) != digest:
        text = f"{place}.revision = {shown(texts['revision'])}: the folder is {digest}"
        return ("", "", ""), [text]
    return ("", digest, texts["path"]), []


def _origin_problems(
    name: str, texts: Mapping[str, str], family: Any, entry: ModelEntry | None
) -> list[str]:
    place = f"models.{name}"
    if "revision" in texts and not COMMIT.match(texts["revision"]):
        what = "a commit of 40 hexadecimal digits was expected, since a branch or tag can move"
        return [f"{place}.revision = {shown(texts['revision'])}: {what}"]
    # Never the entry's revision: it belongs to another repository.
    if "repository" in texts and "revision" not in texts:
        return [f"{place}.revision is missing: the commit of {shown(texts['repository'])}"]
    if entry is None and "repository" not in texts and _has_weights(family):
        return [f"{place}: repository and revision, or path, of its weights are missing"]
    if entry and entry.repository and not entry.revision and not entry.unavailable and not texts:
        return [f"{place}.revision is missing: the commit of {entry.repository}"]
    return []


def _has_weights(family: Any) -> bool:
    """Say whether a family's models come from somewhere; a family of named models tells by them."""
    return not family.entries or any(entry.repository or entry.revision for entry in family.entries)


def _seconds(name: str, table: Mapping[str, Any], catalogue: Catalogue) -> float:
    entry = catalogue.entries.get(name)
    value = table.get("seconds", entry.seconds if entry else DEFAULT_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**9:
        text = f"models.{name}.seconds = {shown(value)}: a positive number of seconds an item"
        raise ConfigError(name, [text])
    return float(value)
