"""Captioners in engines of their own, such as vLLM: a program that is started and spoken with."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Output
from panic_hpc.models.settings import settings_of
from panic_hpc.models.sidecar import Sidecar, command_for
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.models.weights import find_weights
from panic_hpc.types import IMAGE, TEXT, Modality, ModelEntry, ModelSpec


class SidecarSettings(BaseModel):
    """What decides a caption: engine and version are part of it, as libraries are elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="names its command here")
    engine_version: str = Field(min_length=1, max_length=100, description="as the program says it")
    prompt: str = Field(min_length=1, max_length=65_536)
    batch_size: int = Field(1, ge=1, le=1024)
    dtype: Dtype = "bfloat16"
    max_new_tokens: int = Field(128, ge=1, le=8192)


class SidecarCaptioner:
    """An image→text model in another program, greedy as all captioners here."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.settings = settings_of(spec, SidecarSettings)
        self.details: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Start the program and let it load the weights.

        ModelError where it cannot, is of another version than the plan's, or mixes the items of a
        batch of several.
        """
        name, settings = self.spec.name, self.settings
        weights = find_weights(self.spec).source
        self._program = Sidecar(name, command_for(settings.engine))
        told = settings.model_dump(mode="json", exclude={"engine", "engine_version", "prompt"})
        found = self._program.greet(weights, device, told)
        if (found.engine, found.version) != (settings.engine, settings.engine_version):
            raise ModelError(
                f"{name} was planned with {settings.engine} {settings.engine_version}, and its "
                f"program is {found.engine} {found.version}",
                hint="Start the planned version, or plan again in a new directory",
            )
        if settings.batch_size > 1 and not found.batch_invariant:
            raise ModelError(
                f"{name}: {found.engine} lets neighbours in a batch change an item's bits",
                hint=f"Start it batch-invariant, or set batch_size = 1 in [models.{name}]",
            )
        self.details = found.model_dump()

    def generate(self, inputs: Sequence[Any], seeds: Sequence[int]) -> list[Output]:
        """Return a caption for each image; `seeds` decide nothing, since nothing is drawn."""
        return [
            Output(one.text, output_tokens=one.output_tokens, output_truncated=one.truncated)
            for one in self._program.tell(self.settings.prompt, inputs)
        ]


class SidecarFamily:
    """The family of captioners that other programs run."""

    name = "sidecar"
    settings = SidecarSettings
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> SidecarCaptioner:
        """Return the captioner that `spec` names, its program not started yet."""
        return SidecarCaptioner(spec)

    def modalities(self, settings: BaseModel) -> tuple[Modality, Modality]:
        """Return image and text."""
        return IMAGE, TEXT


PLUGINS = (SidecarFamily(),)
