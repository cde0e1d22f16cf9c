"""The contract of models: fixed-shape batches, a seed an item, weights loaded only in `load`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from panic_hpc.types import Modality, ModelEntry, ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Output:
    """What one model call gave for one item: a str, or an (H, W, 3) uint8 array.

    Token counts are -1 where a side has no tokens; `input_truncated` and `output_truncated` are
    never guessed: a model that cannot tell says False and documents it. `problem` says why the
    value is none that may be stored (a picture of NaN, a blackened one): the item's run fails with
    it, and its neighbours go on.
    """

    value: Any
    input_tokens: int = -1
    output_tokens: int = -1
    input_truncated: bool = False
    output_truncated: bool = False
    problem: str = ""


class Turn(NamedTuple):
    """What a model may know of an item beside what it reads: whose turn it is.

    `step` is the position in the run, `text` that of the prompt ("" for none), `pictures` those of
    the prompt by role, (H, W, 3) uint8, not to be written to; `iteration` is how often the run has
    been at this place of its network before. The items of a call are all at one step.
    """

    step: int
    text: str
    pictures: "Mapping[str, np.ndarray]"
    iteration: int = 0


class GenerativeModel(Protocol):
    """A member of a network. Every call sees exactly `spec.batch_size` items of fixed shape.

    A model that can leave its device and come back has `move(device)`: it makes room for the others
    of its network where they do not fit together, and keeps its bits. Arrays that `generate`
    returns are the caller's: they are not changed afterwards.

    A model that can work with weights that another has loaded has `adopt(other)`, called instead of
    `load` where all that `ModelFamily.weight_settings` names is equal; `other` is not used again.

    A model that says `wants_turn = True` is called with a third argument, `turns`, a Turn an item.
    It works without it too, as on a prompt without text and pictures.
    """

    spec: ModelSpec

    def load(self, device: str) -> None:
        """Load the weights onto `device`; ModelError where that is impossible."""

    def generate(self, inputs: Sequence[Any], seeds: Sequence[int]) -> list[Output]:
        """Return an output per input, in order; item i depends on inputs[i] and seeds[i] only."""


class EmbeddingModel(Protocol):
    """Maps an output of one modality to a vector. Calls have exactly `spec.batch_size` items.

    May have `move(device)`, as a GenerativeModel.
    """

    spec: ModelSpec
    dimension: int

    def load(self, device: str) -> None:
        """Load the weights onto `device` and set `dimension`; ModelError where impossible."""

    def embed(self, inputs: Sequence[Any]) -> "tuple[np.ndarray, np.ndarray]":
        """Return (B, D) float32 vectors and (B,) bool flags of inputs that were truncated."""


class Judged(NamedTuple):
    """What a metric is given to score: an output, and what it is judged against, None for nothing.

    Each is a str, or an (H, W, 3) uint8 array.
    """

    output: Any
    against: Any = None


class Score(NamedTuple):
    """What a metric found of one item: a number a component, nan where it has none.

    `problem` says why a component is nan: the item counts as failed, its other components stand.
    `truncated`: a text was longer than the metric reads.
    """

    values: tuple[float, ...]
    truncated: bool = False
    problem: str = ""


class MetricModel(Protocol):
    """Gives numbers to outputs. Calls have exactly `spec.batch_size` items.

    An item's numbers depend on the item alone, never on its neighbours. `components` names them in
    order. May have `move(device)`, as a GenerativeModel.
    """

    spec: ModelSpec
    components: tuple[str, ...]

    def load(self, device: str) -> None:
        """Load the weights onto `device`, if there are any; ModelError where impossible."""

    def score(self, items: Sequence[Judged]) -> list[Score]:
        """Return a score per item, in order."""


class ModelFamily(Protocol):
    """A plugin: one way of loading models. Importing its module loads no heavy library.

    A family whose models can be steered has a setting `steering: SteeringTable`, and says by
    `empty_parts(spec)` at what (see `models/steering/outline.py`); its models have
    `hearing(locations)` as `models/steering/layers.py` has it.

    A family without entries whose models have no weights says `has_weights = False`; one whose
    models may give another output tomorrow (answers of a server) says `repeatable = False`.

    A family that is renamed, or split off from another, keeps the keys of its models by a `loader`:
    the name that they were planned under first (see `loader_of`).
    """

    name: str
    entries: tuple[ModelEntry, ...]
    settings: "type[BaseModel]"
    """Closed, frozen settings with defaults; always has `batch_size: int`.

    A family whose models have `adopt` names in `weight_settings: tuple[str, ...]` the settings that
    its weights are loaded by; models that differ in other settings load them once.
    """

    def build(self, spec: ModelSpec) -> Any:
        """Return a GenerativeModel, EmbeddingModel or MetricModel, its weights not loaded yet."""

    def modalities(self, settings: "BaseModel") -> tuple[str, str]:
        """Return (consumes, produces) of a model given by path or repository, not by name.

        A family with `settings_decide = True` is asked for models by name too. One whose models
        read no prompt, or only sometimes, has `reads_prompt(settings) -> bool`; one whose models
        read pictures of the prompt has `roles_read(settings)`, {setting: role}; one whose settings
        name files has `problems(spec)`, a line for all that is wrong with these.
        """


class MetricFamily(ModelFamily, Protocol):
    """A family of metrics; its settings are `models.metric_settings.MetricSettings`, or more."""

    def compared(self, settings: "BaseModel") -> Modality:
        """Return the modality of what outputs are judged against, "" for nothing."""


def is_repeatable(families: Mapping[str, Any], spec: "ModelSpec") -> bool:
    """Say whether a model gives the same output for the same input, seed and settings again."""
    return bool(getattr(family_of(families, spec), "repeatable", True))


def loader_of(family: Any) -> str:
    """Return the name of a family's code in the identity of its models, its own unless it says."""
    return str(getattr(family, "loader", family.name))


def find_family(families: Mapping[str, Any], name: str) -> Any:
    """Return the family of that name, or the first that was called so once; None without any."""
    if name in families:
        return families[name]
    return next((family for family in families.values() if loader_of(family) == name), None)


def family_of(families: Mapping[str, Any], spec: "ModelSpec") -> Any:
    """Return the family of a model, by its name or else by that of its code; None without any."""
    return find_family(families, spec.family) or find_family(families, spec.code)
