"""Rehearsing a first round: what would stop it is told before anything of it is written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from panic_hpc import api
from panic_hpc.disk.files import create_file, to_json
from panic_hpc.disk.publish import temporary_directory
from panic_hpc.errors import ConfigError, nearest
from panic_hpc.planning.manifest import Manifest

WITHOUT_METRIC = ("steps", "loop", "distinct", "drift", "entropy", "persistence")
"""What names of measures of runs begin with that no metric gives."""


def rehearse(root: Path, table: Any, measures: Iterable[str], subject: str) -> None:
    """Plan an experiment beside `root` and leave nothing; ConfigError with what is wrong in it.

    `subject` is whose measures they are. Were it told only by the round itself, `root` would hold
    what was refused, and the mended file would be another search.
    """
    with temporary_directory(root, f".{root.name}-") as folder:
        file = folder / "experiment.json"
        create_file(file, to_json(table))
        manifest = api.preview(file)
    if problems := list(_unknown(measures, manifest)):
        raise ConfigError(subject, problems)


def _unknown(measures: Iterable[str], manifest: Manifest) -> Iterable[str]:
    models = [one.name for own in manifest.stage_models.values() for one in own]
    for name in measures:
        base = name.partition(":")[0]
        is_metric = any(base == model or base.startswith(f"{model}.") for model in models)
        if not is_metric and base.partition(".")[0] not in WITHOUT_METRIC:
            known = nearest(base, [*models, *WITHOUT_METRIC])
            yield f"measure {name!r}: the experiment gives none that begins so. {known}".rstrip()
