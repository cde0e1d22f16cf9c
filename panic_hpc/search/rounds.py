"""Rounds of a search: from trials to an experiment, and where both lie; pure but for reading.

S/search.json                 the search and its experiment, written once
S/rounds/000.trials.json      what was asked, written before anything runs
S/rounds/000.experiment.json  the experiment that follows from it
S/rounds/000/                 that experiment, as any other
S/rounds/000.values.json      what came of each trial, written when it is merged
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panic_hpc.disk.files import create_file, read_json, to_json
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.search.search_file import Choice, models_of
from panic_hpc.validation.record import as_record

Settings = Mapping[str, Choice]


@dataclass(frozen=True)
class AskedTrials:
    """What a round tries: the settings of each trial by MODEL.SETTING."""

    trials: tuple[dict[str, Choice], ...]


@dataclass(frozen=True)
class FoundValues:
    """What the trials of a round gave, None where none: no run of it has a value."""

    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class RoundPaths:
    """Where a round lies."""

    root: Path
    number: int

    def _beside(self, what: str) -> Path:
        return self.root / "rounds" / f"{self.number:03d}{what}"

    @property
    def trials(self) -> Path:
        """What was asked."""
        return self._beside(".trials.json")

    @property
    def file(self) -> Path:
        """The experiment's file."""
        return self._beside(".experiment.json")

    @property
    def experiment(self) -> Path:
        """The experiment's directory."""
        return self._beside("")

    @property
    def values(self) -> Path:
        """What came of it."""
        return self._beside(".values.json")


def kept(path: Path, value: Any) -> Any:
    """Return what is in `path`; `value`, written there first, where there was nothing.

    Of two that come at once both return what the first wrote.
    """
    if not path.exists():
        create_file(path, to_json(value))
    return read_json(path)


def read_record_of(kind: type[Any], path: Path) -> Any:
    """Return a record of this module; PanicError, naming the file, where it is none."""
    try:
        return as_record(kind, read_json(path))
    except ValueError as error:
        raise PanicError(f"{path} is not what it should be: {error}") from None


def experiment_of(base: Mapping[str, Any], number: int, trials: Sequence[Settings]) -> Any:
    """Return the table of a round's experiment: the base's network, once for each setting tried."""
    (network,) = base["networks"]
    models = dict(base.get("models", {}))
    networks = []
    for place, settings in enumerate(distinct(trials)):
        renamed = {}
        for name, value in settings.items():
            model, _, setting = name.rpartition(".")
            renamed[model] = f"{model}.trial-{number}-{place}"
            own = models.setdefault(renamed[model], {"base": model})
            models[renamed[model]] = {**own, setting: value}
        networks.append(_with_names(network, renamed))
    return {**base, "models": models, "networks": networks}


def _with_names(network: Any, renamed: Mapping[str, str]) -> Any:
    names = [renamed.get(name, name) for name in models_of(network)]
    return {**network, "models": names} if isinstance(network, dict) else names


def distinct(trials: Sequence[Settings]) -> list[Settings]:
    """Return the settings of trials, each once: a network a cell, whoever asked for it twice."""
    return list({_identity(settings): settings for settings in trials}.values())


def values_of_trials(
    trials: Sequence[Settings], means: Sequence[float | None]
) -> list[float | None]:
    """Return what each trial gave, from the means of a round's networks in order."""
    cells = [_identity(settings) for settings in distinct(trials)]
    if len(cells) != len(means):
        raise ConfigError(
            "the experiment of this search",
            [f"{len(means)} networks for {len(cells)} trials: its own settings must have no list"],
        )
    by_cell = dict(zip(cells, means, strict=True))
    return [by_cell[_identity(settings)] for settings in trials]


def _identity(settings: Settings) -> str:
    return json.dumps(settings, sort_keys=True)
