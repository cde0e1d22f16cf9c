"""From a model's name and settings to all that decides its output."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from panic_hpc.disk.files import sha256_of
from panic_hpc.errors import ConfigError, ModelError, nearest
from panic_hpc.experiment.catalogue import Catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models.base import find_family, loader_of
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.known.rows import ModelRow, split_row
from panic_hpc.models.settings import file_at, identity_of, labels_of, located_files
from panic_hpc.types import IMAGE, TEXT, ModelEntry, ModelSpec
from panic_hpc.validation.problems import explained, shown

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
Commits = Mapping[tuple[str, str], str]
"""{(repository, branch or tag): commit}, as a lock has them."""

NO_COMMITS: Commits = {}


class Origin(NamedTuple):
    """Where a model's weights are: a repository at a revision, or a folder of known digest."""

    repository: str
    revision: str
    path: str


NOWHERE = Origin("", "", "")


@dataclass(frozen=True, slots=True)
class Resolved:
    """An experiment's models by name, their seconds an item, and what is wrong with the rest."""

    specs: Mapping[str, ModelSpec]
    seconds: Mapping[str, float]
    problems: tuple[str, ...]


def resolve(
    experiment: Experiment, catalogue: Catalogue, commits: Commits = NO_COMMITS
) -> Resolved:
    """Return every model that `experiment` names, settings filled in and local folders digested.

    A model of a hub that neither names a commit nor has one in `commits` gets the revision "".
    """
    specs: dict[str, ModelSpec] = {}
    seconds: dict[str, float] = {}
    problems: list[str] = []
    for name, place in _places(experiment).items():
        table = _table_for(name, experiment, catalogue)
        try:
            specs[name] = _resolved(name, place, table, catalogue, commits)
            entry = catalogue.entries.get(known_name(name, table))
            seconds[name] = float(table.get("seconds", entry.seconds if entry else 1.0))
        except ConfigError as error:
            problems += error.problems
    return Resolved(specs, seconds, tuple(problems or _unread_limit(experiment, specs)))


def ref_of(name: str, experiment: Experiment, catalogue: Catalogue) -> str:
    """Return the branch or tag that a lock asks for where a model has no commit, "" for none."""
    table = experiment.models.get(name, {})
    entry = catalogue.entries.get(known_name(name, table))
    is_known = entry and table.get("repository", entry.repository) == entry.repository
    return str(table.get("ref", "") or (entry.ref if entry and is_known else ""))


def known_name(name: str, table: Mapping[str, Any]) -> str:
    """Return the name under which the catalogue may know a model: that of its base, or its own."""
    return str(table.get("base", name))


def _unread_limit(experiment: Experiment, specs: Mapping[str, ModelSpec]) -> list[str]:
    limit = experiment.i2t_max_new_tokens
    captioners = [spec for spec in specs.values() if spec.produces == TEXT]
    if not limit or not captioners or any("max_new_tokens" in spec.settings for spec in captioners):
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
    for stage, names in experiment.stage_models.items():
        for i, name in enumerate(names):
            places.setdefault(name, f"{stage}[{i}]")
    for name in experiment.models:
        places.setdefault(name, f"models.{name}")
    places.pop("", None)
    return places


def _table_for(name: str, experiment: Experiment, catalogue: Catalogue) -> dict[str, Any]:
    """Return the [models.X] table, with upstream's one setting for all captioners beneath it."""
    table = dict(experiment.models.get(name, {}))
    known = known_name(name, table)
    family = find_family(catalogue.families, str(table.get("family", catalogue.owners.get(known))))
    if experiment.i2t_max_new_tokens and _limits_captions(family, catalogue.entries.get(known)):
        # Beneath the model's own table: what is said of one model goes before what is said of all.
        table.setdefault("max_new_tokens", experiment.i2t_max_new_tokens)
    return table


def _limits_captions(family: Any, entry: ModelEntry | None) -> bool:
    is_captioner = entry is None or (entry.consumes, entry.produces) == (IMAGE, TEXT)
    return is_captioner and bool(family) and "max_new_tokens" in family.settings.model_fields


def _resolved(
    name: str, place: str, table: dict[str, Any], catalogue: Catalogue, commits: Commits
) -> ModelSpec:
    family, entry = _family_and_entry(name, place, table, catalogue)
    if family is None and entry:
        return _unloadable(name, table, entry)
    own, told = split_row(table, family.settings.model_fields)
    settings, problems = _settings(name, told, family, entry)
    row, found = _row(name, own)
    origin, missing = _origin(name, row, family, entry, commits) if row else (NOWHERE, [])
    if problems or found or missing:
        raise ConfigError(f"models.{name}", [*problems, *found, *missing])
    consumes, produces = _modalities(name, settings, family, entry)
    values, files = _with_digests(name, settings)
    spec = ModelSpec(
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
        labels=labels_of(settings),
        files=files,
    )
    if hasattr(family, "problems") and (found := family.problems(spec)):
        raise ConfigError(f"models.{name}", found)
    return spec


def _with_digests(name: str, settings: Any) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Return what of settings is part of the identity, files by their digests; and these files."""
    values, files = identity_of(settings), []
    for place, file in located_files(settings):
        try:
            digest = sha256_of(Path(file))
        except OSError as error:
            where = ".".join(("models", name, *place))
            raise ConfigError(where, [f"{where} = {shown(file)}: {error.strerror}"]) from error
        inner = values
        for key in place[:-1]:
            inner = inner[key]
        told = file_at(inner[place[-1]])
        if told and told.digest != digest:
            where = ".".join(("models", name, *place))
            raise ConfigError(where, [f"{where} = {shown(file)}: it is another file by now"])
        inner[place[-1]] = digest
        files.append((digest, file))
    return values, tuple(files)


def _unloadable(name: str, table: Mapping[str, Any], entry: ModelEntry) -> ModelSpec:
    """Return a model that can be planned with and never loaded: its name and what it would be."""
    if table:
        text = f"models.{name}: {name} cannot be loaded ({entry.unavailable})"
        hint = "give it a family and weights of your own, or use another model"
        raise ConfigError(f"models.{name}", [f"{text}; {hint}"])
    return ModelSpec(
        name, "", entry.consumes, entry.produces, entry.repository, entry.revision, "", 1, {}
    )


def _row(name: str, own: Mapping[str, Any]) -> tuple[ModelRow | None, list[str]]:
    """Return what a table says beside settings, and what is wrong with it."""
    try:
        return ModelRow.model_validate(own), []
    except ValidationError as error:
        return None, explained(error, ("models", name), tuple(ModelRow.model_fields))


def _modalities(name: str, settings: Any, family: Any, entry: ModelEntry | None) -> tuple[str, str]:
    """Return (consumes, produces); settings must not turn a known model into another kind."""
    known = (entry.consumes, entry.produces) if entry else None
    try:
        told = family.modalities(settings)
    except (ModelError, NotImplementedError) as error:
        if known:
            return known
        raise ConfigError(name, [f"models.{name}: {error}"]) from error
    if known and told != known and not getattr(family, "settings_decide", False):
        kinds = f"{' to '.join(known)} into one of {' to '.join(told)}"
        text = f"models.{name}: its settings turn a model of {kinds}; choose another name"
        raise ConfigError(name, [text])
    return str(told[0]), str(told[1])


def _family_and_entry(
    name: str, place: str, table: Mapping[str, Any], catalogue: Catalogue
) -> tuple[Any, ModelEntry | None]:
    known = known_name(name, table)
    entry, listed = catalogue.entries.get(known), catalogue.owners.get(known, "")
    wanted = table.get("family", listed)
    if entry and entry.unavailable and not wanted:
        return None, entry
    if not wanted:
        where = place if place == f"models.{name}" else f"{place} = {shown(name)}"
        hint = nearest(name, catalogue.entries) or "`panic-hpc models list` shows what there is"
        raise ConfigError(place, [f"{where}: no such model. {hint}".rstrip()])
    family = find_family(catalogue.families, wanted) if isinstance(wanted, str) else None
    if family is None:
        hint = nearest(str(wanted), catalogue.families)
        text = f"models.{name}.family = {shown(wanted)}: no such model family. {hint}"
        raise ConfigError(place, [text.rstrip()])
    if entry and listed and family.name != listed:
        text = f"models.{name}.family = {shown(wanted)}: {name} is the name of a model of {listed}"
        raise ConfigError(place, [f"{text}; choose another name"])
    return family, entry


def _settings(
    name: str, told: Mapping[str, Any], family: Any, entry: ModelEntry | None
) -> tuple[Any, list[str]]:
    values = {**(entry.defaults if entry else {}), **told}
    keys = (*family.settings.model_fields, *ModelRow.model_fields)
    try:
        return family.settings.model_validate(values, strict=True), []
    except ValidationError as error:
        return None, explained(error, ("models", name), keys)


def _origin(
    name: str, row: ModelRow, family: Any, entry: ModelEntry | None, commits: Commits
) -> tuple[Origin, list[str]]:
    """Return where the weights are, and what is wrong with them."""
    told = [key for key in ("repository", "revision", "ref", "path") if getattr(row, key)]
    if told and not _has_weights(family):
        return NOWHERE, [f"models.{name}.{told[0]}: {family.name} has no weights"]
    if row.path:
        return _folder(name, row)
    if entry is None and not row.repository and _has_weights(family):
        return NOWHERE, [f"models.{name}: repository, or path, of its weights is missing"]
    if row.revision and not COMMIT.match(row.revision):
        what = "a commit of 40 hexadecimal digits was expected; a branch or tag, which can move, is"
        return NOWHERE, [
            f"models.{name}.revision = {shown(row.revision)}: {what} a ref, which `models lock` "
            "resolves"
        ]
    return _repository(row, entry, commits), []


def _repository(row: ModelRow, entry: ModelEntry | None, commits: Commits) -> Origin:
    repository = row.repository or (entry.repository if entry else "")
    # Never the entry's revision or ref for a repository of the experiment's own.
    known = entry if entry and repository == entry.repository else None
    ref = row.ref or (known.ref if known else "")
    revision = row.revision or ("" if row.ref or not known else known.revision)
    return Origin(repository, revision or commits.get((repository, ref), ""), "")


def _folder(name: str, row: ModelRow) -> tuple[Origin, list[str]]:
    place = f"models.{name}"
    if row.repository or row.ref:
        other = "repository" if row.repository else "ref"
        return NOWHERE, [f"{place}: {other} and path: only one of them can be given"]
    try:
        # Reads all weights once, at plan: a path is true of one machine, the digest of every one.
        digest = folder_digest(Path(row.path))
    except ModelError as error:
        return NOWHERE, [f"{place}.path = {shown(row.path)}: {error.message}"]
    if row.revision and row.revision != digest:
        return NOWHERE, [f"{place}.revision = {shown(row.revision)}: the folder is {digest}"]
    return Origin("", digest, row.path), []


def _has_weights(family: Any) -> bool:
    """Say whether a family's models come from somewhere; a family of named models tells by them."""
    if not getattr(family, "has_weights", True):
        return False
    return not family.entries or any(entry.repository or entry.revision for entry in family.entries)
