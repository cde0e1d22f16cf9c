"""Pictures of prompts, and files of models, on their way into an experiment's directory."""

import hashlib
import re
from pathlib import Path

from panic_hpc.disk.files import open_regular, replace_file
from panic_hpc.disk.system import make_directories
from panic_hpc.errors import ManifestError
from panic_hpc.experiment.inputs import picture_files
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning.plan import Plan

_NAME = re.compile(r"[0-9a-f]{32}\.picture\Z|[0-9a-f]{64}\.file\Z")


def keep_pictures(plan: Plan, paths: ExperimentPaths) -> None:
    """Store every picture of the plan's prompts once, under its digest.

    Raises ManifestError where a picture of the person's folder is another than was planned.
    """
    wanted = {digest for prompt in plan.prompts for _, digest in prompt.pictures}
    if not wanted:
        return
    make_directories(paths.inputs)
    for file in picture_files(Path(plan.experiment.inputs)):
        if file.picture.digest in wanted:
            replace_file(paths.input(file.picture.digest), file.picture.content)
            wanted.remove(file.picture.digest)
    if wanted:
        raise ManifestError(
            f"The pictures in {plan.experiment.inputs} changed while they were planned",
            hint="Plan again",
        )


def keep_model_files(plan: Plan, paths: ExperimentPaths) -> None:
    """Store every file that the settings of a model name once, under its digest.

    Raises ManifestError where one is another than was planned.
    """
    for digest, name in {pair for spec in plan.specs for pair in spec.files}:
        try:
            with open_regular(Path(name)) as stream:
                content = stream.read()
        except OSError as error:
            raise ManifestError(f"{name} cannot be read ({error})", hint="Plan again") from error
        if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
            raise ManifestError(f"{name} changed while it was planned", hint="Plan again")
        make_directories(paths.inputs)
        replace_file(paths.model_file(digest), content)


def are_ours(folder: Path) -> bool:
    """Say whether a folder holds nothing but what an interrupted plan kept."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    # Hidden ones are temporary files of a write that was cut short.
    names = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
    return all(_NAME.match(name) for name in names)
