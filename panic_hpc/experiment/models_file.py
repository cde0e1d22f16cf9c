"""Rows of models beside an experiment: `models_file`, and paths as they are meant in a file."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from panic_hpc import installed
from panic_hpc.disk.files import sha256_of
from panic_hpc.disk.strict_json import parse_json
from panic_hpc.errors import ConfigError
from panic_hpc.experiment.config import used_names
from panic_hpc.experiment.stage_settings import CALLED
from panic_hpc.experiment.tables import read_table
from panic_hpc.keys import canonical_json
from panic_hpc.pictures.given import read_given
from panic_hpc.validation.problems import shown

WORKFLOW = "workflow"
"""The setting that is a file beside the experiment: see the family `comfyui`."""
MAX_WORKFLOW_BYTES = 4 * 2**20
FILES = ("path", "prototypes", "setup", WORKFLOW)
"""Keys of a model's table, or of its steering, that name a file or folder."""
PICTURES = "pictures"
"""The key of a table of pictures, which may be files; see the family `comfyui`."""
FILE = "file:"


def with_models_file(table: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the table with the rows that it uses of its `models_file` among its models.

    The file has a table a name, as `[models.NAME]` has; a file may serve many experiments, so rows
    of names that this one does not use are passed over.
    """
    if "models_file" not in table:
        return table, []
    rest = {key: value for key, value in table.items() if key != "models_file"}
    name, own = table["models_file"], table.get("models", {})
    try:
        rows = read_models(folder, name)
    except ConfigError as error:
        return rest, [f"models_file = {shown(name)}: {problem}" for problem in error.problems]
    if not isinstance(own, dict):
        return rest, []
    # Names in any other key do no harm: a row that is not meant is one that nothing uses.
    stages = [table.get(name) for name in ("stages", *CALLED, *installed.names("stages"))]
    named = names_in([table.get("networks"), table.get("embedding_models"), stages])
    used = used_names({**rows, **own}, named)
    rows = {model: row for model, row in rows.items() if model in used}
    twice = [f"models.{model}: in {name} too; keep one" for model in rows if model in own]
    return {**rest, "models": {**rows, **own}}, twice


def read_models(folder: Path, name: object) -> dict[str, Any]:
    """Return the rows in the file `name`, a path from `folder`; ConfigError where it has none."""
    if not isinstance(name, str):
        raise ConfigError("models_file", ["the name of a file was expected"])
    path = folder / os.path.expanduser(name)
    rows = read_table(path)
    wrong = {key: row for key, row in rows.items() if not isinstance(row, dict)}
    if wrong:
        lines = [f"{key} = {shown(row)}: a table was expected" for key, row in wrong.items()]
        raise ConfigError(str(path), lines)
    rows, problems = _with_paths(rows, path.parent)
    if problems:
        raise ConfigError(str(path), problems)
    return rows


def names_in(value: object) -> Iterator[str]:
    """Yield every text in nested lists and tables, so that a typo beside it hides no name."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from names_in(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


def with_absolute_paths(table: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Read a model's relative `path` from where the file is, not from where the command is.

    The second is what is wrong with the pictures that models are given.
    """
    models = table.get("models")
    if not isinstance(models, dict):
        return dict(table), []
    models, problems = _with_paths(models, folder)
    return {**table, "models": models}, problems


def _with_paths(models: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    rows, problems = {}, list[str]()
    for name, row in models.items():
        rows[name] = _with_path(row, folder)
        if isinstance(row, dict) and isinstance(row.get(PICTURES), dict):
            place = f"models.{name}.{PICTURES}"
            pictures, found = _with_pictures(row[PICTURES], folder, place)
            rows[name] = {**rows[name], PICTURES: pictures}
            problems += found
    return rows, problems


def _with_pictures(
    pictures: Mapping[str, Any], folder: Path, place: str
) -> tuple[dict[str, Any], list[str]]:
    """Return a table of pictures with digest and path for each `file:NAME`, or a list of them."""
    found, problems = {}, list[str]()

    def known(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [known(name, one) for one in value]
        if not isinstance(value, str) or not value.startswith(FILE):
            return value
        try:
            return _file_within(folder, value.removeprefix(FILE))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            problems.append(f"{place}.{shown(name)} = {shown(value)}: {reason}")
            # A name that is nobody's: whatever follows from it would be told as well.
            return "unknown"

    for name, value in pictures.items():
        found[name] = known(name, value)
    return found, problems


def _file_within(folder: Path, name: str) -> str:
    """Return the file as `models.settings.file_at` knows it; ValueError where it is not inside.

    An experiment may be a stranger's, and what it names goes to a server that it names too.
    """
    path, root = (folder / name).resolve(), folder.resolve()
    if not path.is_relative_to(root):
        raise ValueError("outside the experiment's folder")
    read_given(path)
    return f"{sha256_of(path)}:{path}"


def _with_path(row: Any, folder: Path) -> Any:
    if not isinstance(row, dict):
        return row
    absolute = {key: _absolute(row[key], folder) for key in FILES if key in row}
    steering = row.get("steering")
    inner = {"steering": _with_path(steering, folder)} if isinstance(steering, dict) else {}
    return {**row, **absolute, **inner}


def _absolute(value: Any, folder: Path) -> Any:
    """Return the name of a file from `folder` on, or a sweep of them."""
    if isinstance(value, list):
        return [_absolute(one, folder) for one in value]
    # os.path.expanduser leaves an unknown user's ~name as it is, where Path.expanduser raises.
    return str(folder.absolute() / os.path.expanduser(value)) if _names_a_file(value) else value


def _names_a_file(value: object) -> TypeGuard[str]:
    """Say whether a value is a file's name, and not its content or nothing."""
    return isinstance(value, str) and bool(value) and not value.lstrip().startswith("{")


def with_workflows(table: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the table with the content of each model's `workflow` in place of its file's name.

    So an experiment is whole in its manifest, and in whatever is exported of it.
    """
    models = table.get("models")
    if not isinstance(models, dict):
        return table, []
    read, problems = dict(models), list[str]()
    for name, row in models.items():
        if isinstance(row, dict) and _names_a_file(row.get(WORKFLOW)):
            try:
                read[name] = {**row, WORKFLOW: canonical_json(_workflow(Path(row[WORKFLOW])))}
            except (OSError, ValueError) as error:
                what = f"models.{name}.{WORKFLOW} = {shown(row[WORKFLOW])}"
                reason = error.strerror if isinstance(error, OSError) else error
                problems.append(f"{what}: {reason}")
    return {**table, "models": read}, problems


def _workflow(path: Path) -> Any:
    if not path.is_file():
        raise ValueError("no such file")
    if path.stat().st_size > MAX_WORKFLOW_BYTES:
        raise ValueError(f"larger than {MAX_WORKFLOW_BYTES // 2**20} MiB")
    return parse_json(path.read_bytes())
