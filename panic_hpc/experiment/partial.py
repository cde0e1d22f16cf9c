"""From a raw table to an experiment, keeping what is valid, so that all problems come at once."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

from panic_hpc.experiment.config import (
    MAX_LENGTH,
    SEED_KEYS,
    Experiment,
    Homology,
    Images,
    Name,
    NetworkConfig,
    NetworkEntry,
    seed_problems,
    unused_tables,
)
from panic_hpc.experiment.models_file import names_in
from panic_hpc.validation.closed import Closed
from panic_hpc.validation.problems import explained, is_finite, shown, unknown_key

KEYS = (*Experiment.model_fields, "prompts_file", "models_file")

_NESTED: dict[str, type[Closed]] = {
    "networks": NetworkConfig,
    "images": Images,
    "homology": Homology,
}
_NEEDED = {
    "networks": 'a list of lists of model names, such as [["FluxDev", "Moondream"]]',
    "prompts": "a list of texts, or prompts_file with the name of a file of them, or inputs with "
    "a folder of pictures",
    "max_length": "the number of invocations in each run, such as 100",
}


def drafted(table: Mapping[str, Any]) -> tuple[Experiment, list[str]]:
    """Return the experiment that the valid parts of `table` make, and what is wrong with the rest.

    Without problems it is the whole experiment; with problems it is only good for further checks.
    """
    good: dict[str, Any] = {"networks": (), "prompts": (), "embedding_models": ()}
    # The longest, or what a run would reach in a missing number of steps would be told as missing.
    good["max_length"] = MAX_LENGTH
    problems = _key_problems(table)
    for key in Experiment.model_fields:
        if key in table:
            good[key], found = _valid_part(key, table[key], good.get(key))
            problems += found
    # Without validation, which would refuse the draft for what is told already.
    return Experiment.model_construct(**{k: v for k, v in good.items() if v is not None}), problems


def _key_problems(table: Mapping[str, Any]) -> list[str]:
    unknown = [str(key) for key in table if key not in KEYS]
    problems = [unknown_key(key, key, KEYS) for key in unknown]
    # A misspelt key is told once, and not again as the missing one that it was meant for.
    meant = {match for key in unknown for match in get_close_matches(key.lower(), KEYS)}
    problems += [
        f"{key} is missing: {what}"
        for key, what in _NEEDED.items()
        if key not in table
        and key not in meant
        and not (key == "prompts" and ("prompts_file" in table or "inputs" in table))
    ]
    problems += seed_problems([key for key in SEED_KEYS if table.get(key) is not None])
    models = table.get("models")
    return problems + _table_problems(table, models if isinstance(models, dict) else {})


def _table_problems(table: Mapping[str, Any], models: Mapping[str, Any]) -> list[str]:
    lists = [table.get("networks"), table.get("embedding_models", []), table.get("stages", {})]
    # Without the lists, which are told as missing, every table would be unused.
    unused = unused_tables(models, set(names_in(lists))) if None not in lists else []
    return unused + [
        f"models.{name} = {shown(settings)}: numbers must be finite"
        for name, settings in models.items()
        if not is_finite(settings)
    ]


def _valid_part(key: str, value: Any, otherwise: Any) -> tuple[Any, list[str]]:
    problems: list[str] = []
    # Once more without them: the validators of a whole list, which find duplicates, do not run
    # while an entry of it is bad.
    for _ in ("as written", "without its bad entries"):
        try:
            return _ADAPTERS[key].validate_python(value), problems
        except ValidationError as error:
            problems += explained(error, (key,), _keys_inside(key))
            bad = error
        # Places must stay: "networks[3]" has to mean the fourth one as written.
        if key in _BLANKS and isinstance(value, list):
            return tuple(_valid_entry(key, entry) for entry in value), problems
        value = _without_bad_entries(value, bad)
        if not value:
            break
    return otherwise, problems


def _valid_entry(key: str, entry: Any) -> Any:
    adapter, blank = _BLANKS[key]
    try:
        return adapter.validate_python(entry)
    except ValidationError:
        return blank


def _without_bad_entries(value: Any, error: ValidationError) -> Any:
    bad = {details["loc"][0] for details in error.errors() if details["loc"]}
    if isinstance(value, list):
        return [entry for index, entry in enumerate(value) if index not in bad]
    if isinstance(value, dict):
        return {name: entry for name, entry in value.items() if name not in bad}
    return value


def _keys_inside(key: str) -> Collection[str]:
    return _NESTED[key].model_fields if key in _NESTED else ()


def _adapter(key: str) -> TypeAdapter[Any]:
    field = Experiment.model_fields[key]
    nested = isinstance(field.annotation, type) and issubclass(field.annotation, Closed)
    config = None if nested else Closed.model_config
    # A model brings its own configuration, and pydantic refuses a second one beside it.
    return TypeAdapter(field.rebuild_annotation(), config=config)


_ADAPTERS = {key: _adapter(key) for key in Experiment.model_fields}

_NO_NETWORK = NetworkConfig.model_construct(models=(), noise=None, prompts=None)

# What stands for a bad entry of these lists, so that the others keep their places.
_BLANKS: dict[str, tuple[TypeAdapter[Any], Any]] = {
    "networks": (TypeAdapter(NetworkEntry), _NO_NETWORK),
    "embedding_models": (TypeAdapter(Name, config=Closed.model_config), ""),
}
