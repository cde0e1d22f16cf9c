"""Any embedding model of sentence-transformers, for texts or for images; and Nomic's with experts.

The latter's repository has sentence-transformers' layout too, but no library here has its network.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from panic_hpc.models import builtin
from panic_hpc.models.nomic.encoder import NomicEncoder
from panic_hpc.models.sentence_encoder import SentenceEncoder
from panic_hpc.models.settings import AddedLater, settings_of
from panic_hpc.models.torch_setup import Dtype
from panic_hpc.types import EMBEDDING, TEXT, ModelEntry, ModelSpec


class EmbeddingSettings(BaseModel):
    """What an embedding model may be told; texts are padded, or cut, to `max_tokens` each.

    The model's own limit counts where it is lower. `prompt_name` names one of the model's
    prompts, "" its default one; `prefix` is put before each text instead. Vectors are cut to
    their first `dimension` numbers (of models that were trained for it), then scaled to unit
    length where `normalise` says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(32, ge=1, le=4096)
    modality: Literal["text", "image"] = "text"
    dtype: Dtype = "float32"
    # Every text is padded to it, so it costs time: attention over 512 tokens for a caption of 20. A
    # lower limit is the largest saving here.
    max_tokens: int = Field(512, ge=1, le=32_768)
    prompt_name: str = ""
    prefix: Annotated[str, AddedLater("")] = ""
    dimension: Annotated[int | None, AddedLater(None), Field(ge=1, le=65_536)] = None
    normalise: Annotated[bool, AddedLater(False)] = False


class SentenceTransformers:
    """The family of sentence-transformers models."""

    name = "sentence_transformers"
    settings = EmbeddingSettings
    entries = builtin.entries("embedding", EmbeddingSettings.model_fields)

    def build(self, spec: ModelSpec) -> SentenceEncoder:
        """Return the model that `spec` names, not loaded yet."""
        return SentenceEncoder(spec, settings_of(spec, EmbeddingSettings))

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return what the settings say it reads, and embedding."""
        return str(settings.model_dump()["modality"]), EMBEDDING


class NomicExpertsSettings(BaseModel):
    """What Nomic's encoder with experts may be told; texts are cut to `max_tokens`, never padded.

    `prefix` is put before each text: the model was trained with "search_document: " and
    "search_query: ". Vectors are cut to their first `dimension` numbers, 256 or all 768 as it was
    trained for, and have unit length.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Texts are read one after the other whatever it is; more only fills short batches with copies.
    batch_size: int = Field(1, ge=1, le=4096)
    max_tokens: int = Field(512, ge=4, le=2048)
    prefix: str = ""
    dimension: int | None = Field(None, ge=1, le=65_536)


class NomicExperts:
    """The family of nomic-embed-text-v2-moe."""

    name = "nomic_experts"
    settings = NomicExpertsSettings
    entries: tuple[ModelEntry, ...] = ()

    def build(self, spec: ModelSpec) -> NomicEncoder:
        """Return the model that `spec` names, not loaded yet."""
        return NomicEncoder(spec, settings_of(spec, NomicExpertsSettings))

    def modalities(self, settings: BaseModel) -> tuple[str, str]:
        """Return text and embedding."""
        return TEXT, EMBEDDING


PLUGINS = (SentenceTransformers(), NomicExperts())
