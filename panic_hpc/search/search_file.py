"""The file of a search: an experiment, the settings that are searched, and the measure that counts.

experiment = "sweep.toml"
measure = "scene.right:mean"
rounds = 6
trials = 8

[space]
"Drawn.guidance" = { low = 1.0, high = 8.0 }
"Drawn.steps" = { choices = [2, 4, 8] }
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from panic_hpc.errors import ConfigError, nearest
from panic_hpc.experiment.models_file import with_absolute_paths
from panic_hpc.experiment.tables import read_table
from panic_hpc.validation.closed import Closed
from panic_hpc.validation.problems import at_most, explained

OF_TWO = ("kid", "fid", "twin")
"""Measures that compare with a baseline, which a search has none of."""
FILES = ("prompts_file", "models_file", "inputs")
Choice = bool | int | float | str
LARGEST = 1e15
"""Of an end: samplers take differences and ratios of ends in double precision."""
MOST_STEPS = 10**6
"""Between two ends."""


class SearchAxis(Closed):
    """What one setting may be: from `low` to `high`, whole numbers where both are, or `choices`.

    log   whether ratios count rather than differences
    step  between values, 0 for none
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float = 0
    choices: tuple[Choice, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "SearchAxis":
        if self.choices:
            if (self.low, self.high, self.log, self.step) != (None, None, False, 0):
                raise ValueError("choices stand alone")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("low and a larger high were expected, or choices")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError("log needs a low above 0, and no step")
        if self.step < 0:
            raise ValueError("a step above 0 was expected")
        if max(-self.low, self.high) > LARGEST:
            raise ValueError(f"ends of at most {LARGEST:.0e} in size were expected")
        if self.step and not 1 <= (self.high - self.low) / self.step <= MOST_STEPS:
            raise ValueError(f"one to {MOST_STEPS:,} steps from low to high were expected")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether values are whole numbers."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step))


class Search(Closed):
    """A search.

    experiment  the file of the experiment that is varied, from where this file is
    measure     one number a run (docs/evaluate.md); its mean over prompts is what counts
    maximise    whether more is better
    rounds      experiments, one after the other
    trials      settings that are tried in each
    sampler     "tpe" (tree-structured Parzen estimator) or "random", the control
    seed        of what the sampler draws
    space       what is searched, by MODEL.SETTING
    """

    experiment: str
    measure: str
    maximise: bool = True
    rounds: int = Field(default=6, ge=1, le=1000)
    trials: int = Field(default=8, ge=1, le=1000)
    sampler: Literal["tpe", "random"] = "tpe"
    seed: int = Field(default=0, ge=0, le=2**31)
    space: dict[str, SearchAxis] = Field(min_length=1, max_length=100)


def read_search(path: Path) -> tuple[Search, dict[str, Any]]:
    """Return a search and the table of its experiment, whose files are absolute.

    Raises ConfigError with all that is wrong in the file of the search.
    """
    table = read_table(path)
    try:
        # Lists of TOML are lists, which strict pydantic takes for tuples from JSON alone.
        search = Search.model_validate(_with_tuples(table))
    except ValidationError as error:
        told = explained(error, (), tuple(Search.model_fields))
        raise ConfigError(str(path), at_most(told)) from None
    experiment = base_experiment(path.parent / search.experiment)
    if problems := _problems(search, experiment):
        raise ConfigError(str(path), at_most(problems))
    return search, experiment


def base_experiment(path: Path) -> dict[str, Any]:
    """Return the table of an experiment that others are made of, whose files are absolute.

    ConfigError where it cannot be read, or a picture that it names cannot.
    """
    experiment, problems = with_absolute_paths(read_table(path), path.parent)
    if problems:
        raise ConfigError(str(path), at_most(problems))
    for key in FILES:
        if isinstance(experiment.get(key), str):
            experiment[key] = str(path.parent.absolute() / os.path.expanduser(experiment[key]))
    return experiment


def _with_tuples(table: dict[str, Any]) -> dict[str, Any]:
    space = table.get("space")
    if not isinstance(space, dict):
        return table
    axes = {
        name: {k: tuple(v) if isinstance(v, list) else v for k, v in axis.items()}
        if isinstance(axis, dict)
        else axis
        for name, axis in space.items()
    }
    return {**table, "space": axes}


def _problems(search: Search, experiment: dict[str, Any]) -> list[str]:
    networks = experiment.get("networks")
    if not isinstance(networks, list) or len(networks) != 1:
        return [f"experiment = {search.experiment!r}: one network was expected, which is varied"]
    known, told = models_of(networks[0]), []
    if search.measure.partition(".")[0] in OF_TWO:
        told.append(f"measure = {search.measure!r}: one of runs alone was expected")
    for name in search.space:
        model, _, setting = name.rpartition(".")
        if model not in known or not setting:
            hint = nearest(model, known)
            told.append(f"space.{name}: MODEL.SETTING of the network was expected. {hint}".rstrip())
    return told


def models_of(network: Any) -> list[str]:
    """Return the models of a network as it is written: a list, or a table with one."""
    models = network.get("models", []) if isinstance(network, dict) else network
    return [name for name in models if isinstance(name, str)] if isinstance(models, list) else []
