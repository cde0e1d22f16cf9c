"""What runs begin with: the prompt's text, or a picture of it; read from where plan kept it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.errors import ShardError
from panic_hpc.models.prompt_pictures import starting_role, starts_from_picture
from panic_hpc.paths import ExperimentPaths
from panic_hpc.pictures.given import read_kept
from panic_hpc.types import IMAGE, TEXT, Modality, Prompt, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

Pixels = NDArray[np.uint8]


class PromptInputs:
    """The prompts of an experiment as models read them; a picture is decoded once."""

    def __init__(self, manifest: "Manifest", paths: ExperimentPaths) -> None:
        self._manifest, self._paths = manifest, paths
        self._decoded: dict[str, Pixels] = {}

    def pictures(self, prompt: Prompt) -> Mapping[str, Pixels]:
        """Return the pictures of a prompt by role; ShardError names one that is not as planned."""
        return {role: self._picture(digest) for role, digest in prompt.pictures}

    def start(self, prompt: Prompt, modality: Modality) -> Any:
        """Return what a network whose first model reads `modality` reads of a prompt."""
        if modality != IMAGE:
            return prompt.text
        own = dict(prompt.pictures)
        return self._picture(own[starting_role(own)])

    def _picture(self, digest: str) -> Pixels:
        if digest not in self._decoded:
            path = self._paths.input(digest)
            try:
                pixels = read_kept(path, digest).pixels
            except (OSError, ValueError) as error:
                raise ShardError(
                    f"{path}, a picture of a prompt, cannot be used ({error})",
                    hint="Plan the experiment anew in a new directory",
                ) from error
            # The prompt's, of which several runs read.
            pixels.flags.writeable = False
            self._decoded[digest] = pixels
        return self._decoded[digest]


def first_values(
    manifest: "Manifest", paths: ExperimentPaths, shard: Shard, modality: Modality
) -> list[Any]:
    """Return step -1 of each run of a shard where it is of `modality`, None where it is not.

    That is the prompt's text, if it has one, and the picture that the run started from.
    """
    inputs = PromptInputs(manifest, paths)
    values = []
    for run in manifest.runs(shard.first_run, shard.n_runs):
        prompt = manifest.prompts[run.prompt]
        is_pictured = starts_from_picture(manifest.networks[run.network].models)
        is_there = is_pictured if modality == IMAGE else modality == TEXT and prompt.text
        values.append(inputs.start(prompt, modality) if is_there else None)
    return values


def role_pictures(
    manifest: "Manifest", paths: ExperimentPaths, shard: Shard, role: str
) -> Sequence[Pixels]:
    """Return the picture of a role of each run of a shard."""
    inputs = PromptInputs(manifest, paths)
    runs = manifest.runs(shard.first_run, shard.n_runs)
    return [inputs.pictures(manifest.prompts[run.prompt])[role] for run in runs]
