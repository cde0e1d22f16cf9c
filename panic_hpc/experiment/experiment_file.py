"""From a file to an experiment, and all that the file refers to; problems are one ConfigError."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from panic_hpc.errors import ConfigError
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.inputs import with_inputs
from panic_hpc.experiment.models_file import (
    with_absolute_paths,
    with_models_file,
    with_workflows,
)
from panic_hpc.experiment.partial import drafted
from panic_hpc.experiment.prompts_file import read_prompts
from panic_hpc.experiment.stage_settings import with_stage_tables
from panic_hpc.experiment.tables import NOTHING, read_table
from panic_hpc.validation.problems import at_most, shown

Check = Callable[[Experiment], list[str]]


def load_experiment(
    path: Path, check: Check = lambda experiment: [], extra: Mapping[str, Any] = NOTHING
) -> Experiment:
    """Return the experiment in a TOML or JSON file, what it refers to read, its paths absolute.

    `check` returns further problems of an experiment, told together with the file's own; `extra`
    has keys that go before those of the file. Raises ConfigError with everything that is wrong.
    """
    table, problems = with_absolute_paths(read_table(path), path.parent)
    table |= extra
    for read in (_with_networks, _with_prompts, with_inputs, with_models_file, with_workflows):
        table, found = read(table, path.parent)
        problems += found
    table, found = with_stage_tables(table)
    problems += found
    experiment, found = drafted(table)
    problems += found
    problems += check(experiment)
    if problems:
        # One typo can be met on several ways: by the file's own check and by that of its models.
        raise ConfigError(str(path), at_most(list(dict.fromkeys(problems))))
    return experiment


def _with_networks(table: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the table with upstream's `network`, which is one network, as its networks."""
    if "network" not in table:
        return table, []
    rest = {key: value for key, value in table.items() if key != "network"}
    if "networks" in table:
        return rest, ["network and networks: only one of them can be given"]
    return {**rest, "networks": [table["network"]]}, []


def _with_prompts(table: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the table with the entries of `prompts_file` as its prompts."""
    if "prompts_file" not in table:
        return table, []
    if "prompts" in table:
        return table, ["prompts and prompts_file: only one of them can be given"]
    name = table["prompts_file"]
    try:
        return {**table, "prompts": read_prompts(folder, name)}, []
    except ConfigError as error:
        return table, [f"prompts_file = {shown(name)}: {problem}" for problem in error.problems]
