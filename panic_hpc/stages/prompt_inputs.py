"""What runs begin with: the prompt's text, or a picture of it; read from where plan kept it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.models.prompt_pictures import starting_role, starts_from_picture
from panic_hpc.paths import ExperimentPaths
from panic_hpc.pictures.given import require_kept
from panic_hpc.types import IMAGE, TEXT, Modality, Prompt, Shard

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

Pixels = NDArray[np.uint8]


MOST_KEPT = 64
"""Decoded pictures of prompts that are kept for the next run: 200 MB of 1024 by 1024 pixels."""


class PromptInputs:
    """The prompts of an experiment as models read them; pictures are decoded when they are read."""

    def __init__(self, manifest: "Manifest", paths: ExperimentPaths) -> None:
        self._manifest, self._paths = manifest, paths
        # Of one object, and not of all: many runs of a prompt follow each other.
        self._picture = lru_cache(MOST_KEPT)(self._read)

    def pictures(self, prompt: Prompt) -> Mapping[str, Pixels]:
        """Return the pictures of a prompt by role; ShardError names one that is not as planned."""
        return PromptPictures(self._picture, dict(prompt.pictures))

    def start(self, prompt: Prompt, modality: Modality) -> Any:
        """Return what a network whose first model reads `modality` reads of a prompt."""
        if modality != IMAGE:
            return prompt.text
        own = dict(prompt.pictures)
        return self._picture(own[starting_role(own)])

    def _read(self, digest: str) -> Pixels:
        pixels = require_kept(self._paths.input(digest), digest).pixels
        # The prompt's, of which several runs read.
        pixels.flags.writeable = False
        return pixels


class PromptPictures(Mapping[str, Pixels]):
    """The pictures of one prompt by role, each decoded when it is asked for."""

    def __init__(self, read: Callable[[str], Pixels], digests: Mapping[str, str]) -> None:
        self._read, self._digests = read, digests

    def __getitem__(self, role: str) -> Pixels:
        return self._read(self._digests[role])

    def __iter__(self) -> Iterator[str]:
        return iter(self._digests)

    def __len__(self) -> int:
        return len(self._digests)


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
