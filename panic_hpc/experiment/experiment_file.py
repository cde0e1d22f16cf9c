"""From a file to an experiment: TOML, or upstream's JSON; anything wrong is one ConfigError."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from panic_hpc.errors import ConfigError
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.partial import drafted
from panic_hpc.experiment.prompts_file import read_prompts
from panic_hpc.experiment.stage_settings import with_stage_tables
from panic_hpc.experiment.text_file import read_text
from panic_hpc.validation.problems import at_most, shown

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 16

# tomllib takes quadratic time over a dotted key: half a minute over 64 kB. Nobody writes one of 64
# parts; each repetition is possessive, so that the search itself stays linear.
_LONG_KEY = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}"""
)

Check = Callable[[Experiment], list[str]]


def load_experiment(path: Path, check: Check = lambda experiment: []) -> Experiment:
    """Return the experiment in a TOML or JSON file, its prompts file read, its paths absolute.

    `check` returns further problems of an experiment, told together with the file's own. Raises
    ConfigError with everything that is wrong.
    """
    table = read_table(path)
    table, problems = _with_prompts(table, path.parent)
    table, found = with_stage_tables(table)
    problems += found
    experiment, found = drafted(_with_absolute_paths(table, path.parent))
    problems += found
    problems += check(experiment)
    if problems:
        # One typo can be met on several ways: by the file's own check and by that of its models.
        raise ConfigError(str(path), at_most(list(dict.fromkeys(problems))))
    return experiment


def read_table(path: Path) -> dict[str, Any]:
    """Return the top-level table of a file; ConfigError where there is none to be had."""
    text = read_text(path, MAX_BYTES)
    parse = _parse_json if _looks_like_json(path, text) else _parse_toml
    try:
        table = parse(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), [_parse_problem(error)]) from error
    if not isinstance(table, dict):
        text = f"a table of keys and values was expected, not {shown(table)}"
        raise ConfigError(str(path), [text])
    # Before any recursive walk: both parsers accept some hundred levels, and repr and pydantic
    # recurse.
    if depth_exceeds(table, MAX_DEPTH):
        raise ConfigError(str(path), [f"nested more than {MAX_DEPTH} deep"])
    return table


def depth_exceeds(value: Any, limit: int) -> bool:
    """Say whether lists and tables are nested more than `limit` deep, without recursion."""
    level = [value]
    for _ in range(limit):
        level = [inner for outer in level for inner in _children(outer)]
    return bool(level)


def _children(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in inner if isinstance(item, dict | list)]


def _looks_like_json(path: Path, text: str) -> bool:
    # By content too, for JSON under another ending: no TOML begins with a brace.
    return path.suffix.lower() == ".json" or text.lstrip()[:1] == "{"


def _parse_toml(text: str) -> Any:
    if _LONG_KEY.search(text):
        raise ValueError("a dotted key of more than 64 parts")
    return tomllib.loads(text)


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_table_of_distinct_keys)


def _table_of_distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of equal keys without a word; TOML refuses them.
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return table


def _parse_problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested absurdly deep"
    return f"does not parse: {error}"


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


def _with_absolute_paths(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read a model's relative `path` from where the file is, not from where the command is."""
    models = table.get("models")
    if not isinstance(models, dict):
        return dict(table)
    return {**table, "models": {name: _with_absolute_path(m, folder) for name, m in models.items()}}


def _with_absolute_path(settings: Any, folder: Path) -> Any:
    # os.path.expanduser leaves an unknown user's ~name as it is, where Path.expanduser raises.
    if not isinstance(settings, dict) or not isinstance(settings.get("path"), str):
        return settings
    return {**settings, "path": str(folder.absolute() / os.path.expanduser(settings["path"]))}
