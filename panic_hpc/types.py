"""The words of the domain as frozen values; standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Modality = str
"""What a model consumes or produces; open, so that audio is one more value and not a rewrite."""

TEXT: Modality = "text"
IMAGE: Modality = "image"
EMBEDDING: Modality = "embedding"
SCORE: Modality = "score"

Noise = Literal["fixed", "per_step"]

RUNS = "runs"
EMBEDDINGS = "embeddings"
DIAGRAMS = "diagrams"
MERGE = "merge"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model known by name: what is true of it before any experiment sets anything.

    consumes, produces   modalities
    repository           of a hub, "" for what is built in
    revision             a commit, "" where `models lock` has to ask the hub for one
    defaults             settings of its family
    seconds              a rough cost of one item, on the hardware that `timing` names
    timing               how `seconds` came about
    unavailable          why it cannot be loaded, "" where it can
    ref                  the branch or tag that a lock asks for, "" for the main one
    licence              as the hub spells it, "" where it is not known here
    gated                whether the hub asks for an agreement first, None where it is not known
    needs                modules that its loader imports beside those of the compute extra
    gb                   of what has to be fetched, in 10^9 bytes; None where it is not known
    architecture         the class of its checkpoint, as diffusers or transformers spell it
    tried                what was tried of it: "" for nothing, "class" for a small checkpoint of it
    note                 what whoever uses it must know
    """

    name: str
    consumes: Modality
    produces: Modality
    repository: str = ""
    revision: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 1.0
    timing: str = ""
    unavailable: str = ""
    ref: str = ""
    licence: str = ""
    gated: bool | None = None
    needs: tuple[str, ...] = ()
    gb: float | None = None
    architecture: str = ""
    tried: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as one experiment uses it: everything that decides its output is in here.

    `revision` is a hub commit, or "sha256:…" of a local folder's contents. `name` and `path` are
    labels of this experiment and this machine, so they have no part in its identity; no more have
    `files`: (digest, path) of those that settings name by their digest. `loader` names the code
    that makes the model of its weights; "" where the family never had another name. `labels` are
    settings that decide no output, such as where a server is.
    """

    name: str
    family: str
    consumes: Modality
    produces: Modality
    repository: str
    revision: str
    path: str
    batch_size: int
    settings: Mapping[str, Any]
    loader: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> str:
        """The name of the code that loads it, which outlives names of families."""
        return self.loader or self.family

    def identity(self) -> dict[str, Any]:
        """Return the JSON value that keys are made of."""
        return {
            # Under the name that the value had when there was one loader a family.
            "family": self.code,
            "repository": self.repository,
            "revision": self.revision,
            "batch_size": self.batch_size,
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and the paraphrase group it belongs to ("" for none).

    `pictures` are (role, digest of pixels) in order of roles; a prompt that has some may be without
    a text. `name` is that of their files, a label; "" without pictures.
    """

    text: str
    group: str = ""
    pictures: tuple[tuple[str, str], ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One prompt and seed followed through a network; `index` is its place in the experiment."""

    index: int
    key: str
    network: int
    prompt: int
    seed: int
    noise: Noise


@dataclass(frozen=True, slots=True, order=True)
class ShardId:
    """A shard's stage and its number within that stage."""

    stage: str
    index: int


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work and of publishing: consecutive runs, seen by one stage (and model).

    `model` names the embedding model or metric, "" where the stage has none. `inputs` are the
    shards whose files must be there first. `file` is where its file lies in the experiment's
    directory, "" for the place that shards have by their stage, model and number.
    """

    stage: str
    index: int
    model: str
    first_run: int
    n_runs: int
    inputs: tuple[ShardId, ...] = ()
    file: str = ""

    @property
    def id(self) -> ShardId:
        """The shard's stage and number."""
        return ShardId(self.stage, self.index)


def is_visit_in(window: Sequence[int] | None, iteration: int) -> bool:
    """Say whether a visit of a loop is within a window: its first and last one; None is all."""
    return window is None or window[0] <= iteration <= window[1]
