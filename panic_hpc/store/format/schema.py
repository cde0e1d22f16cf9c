"""Every array of a shard file: the authority that stages write by and readers check against.

An array is named `group/column`. Its first axis counts one dimension (`run`, `invocation`, …);
`offsets` columns have one row more than what they cut up. Columns marked `scientific` are what a
run's digest covers: no times, no hosts, and nothing that depends on where a run stands in a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from panic_hpc.errors import ShardError
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, RUNS, TEXT

FORMAT = "panic_hpc"
FORMAT_MAJOR = 1
FORMAT_MINOR = 0

MODALITIES = {TEXT: 0, IMAGE: 1, "audio": 2, "video": 3}
NOISE = {"fixed": 0, "per_step": 1}
ENDED = {"length": 0, "loop": 1, "failed": 2, "unknown": 3}
INCOMPLETE = "incomplete"
"""Status of a diagram that time or memory stopped; elsewhere it has more bars, so no digest."""

DIAGRAM_STATUS = {
    # These numbers, like all codes here, are in published files: they never change, new ones are
    # added.
    "computed": 0,
    "stopped": 1,
    "skipped": 2,
    "failed": 3,
    "missing": 4,
    INCOMPLETE: 5,
}

INPUT_TRUNCATED = 1
OUTPUT_TRUNCATED = 2
NOT_KEPT = 4
OUTPUT_EMPTY = 8
EMBEDDING_TRUNCATED = 1
EMBEDDING_FAILED = 2

OUTPUT_GROUPS = {TEXT: "texts", IMAGE: "images", "audio": "sounds", "video": "films"}
REQUIRED_OUTPUTS = (TEXT, IMAGE)


@dataclass(frozen=True, slots=True)
class Column:
    """One array: `rows` counts its first axis, `trailing` its others; "" as unit is a plain count.

    `index` names the table whose rows the values point to: such values are rebased by merge.
    """

    name: str
    dtype: str
    rows: str
    meaning: str
    unit: str = ""
    trailing: tuple[str | int, ...] = ()
    index: str = ""
    edges: bool = False
    scientific: bool = False
    codes: Mapping[str, int] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of each axis; that of an offsets column is one longer than what it cuts up."""
        first = f"{self.rows}_edge" if self.edges else self.rows
        return (first, *("birth_death" if axis == 2 else str(axis) for axis in self.trailing))


_INDEX = Column("runs/index", "<i8", "run", "place of the run in its experiment")
_KEY = Column("runs/key", "S32", "run", "content key of the run, 32 hex digits")
_DIGEST = Column(
    "runs/digest",
    "S64",
    "run",
    "SHA-256 of the run's scientific columns, hex; empty where a diagram is incomplete",
)


def _ragged(group: str, item: str, meaning: str, scientific: bool) -> tuple[Column, Column]:
    byte = f"{item}_byte"
    return (
        Column(
            f"{group}/offsets", "<i8", item, f"where each {item} begins in values; one more row",
            "byte", index=byte, edges=True, scientific=scientific,
        ),
        Column(f"{group}/values", "|u1", byte, meaning, scientific=scientific),
    )  # fmt: skip


def _outputs(modality: str, meaning: str) -> tuple[Column, ...]:
    group = OUTPUT_GROUPS[modality]
    return (
        Column(
            f"{group}/invocation", "<i8", modality, "row of the invocation that made it, ascending",
            index="invocation", scientific=True,
        ),
        *_ragged(group, modality, meaning, True),
    )  # fmt: skip


RUN_COLUMNS = (
    _INDEX,
    _KEY,
    Column("runs/network", "<i4", "run", "number of its network", index="network"),
    Column("runs/prompt", "<i4", "run", "number of its prompt", index="prompt"),
    Column("runs/seed", "<i8", "run", "seed of the run", scientific=True),
    Column("runs/noise", "|u1", "run", "how steps are seeded", scientific=True, codes=NOISE),
    Column("runs/n_steps", "<i4", "run", "its number of invocations", scientific=True),
    Column("runs/ended", "|u1", "run", "why it ended", scientific=True, codes=ENDED),
    Column("runs/loop_start", "<i4", "run", "first step of its loop, -1: none", scientific=True),
    Column("runs/loop_length", "<i4", "run", "steps in its loop, 0: none", scientific=True),
    _DIGEST,
)

INVOCATION_COLUMNS = (
    Column("invocations/step", "<i4", "invocation", "position in its run, from 0", scientific=True),
    Column(
        "invocations/model", "<i2", "invocation",
        "in a shard the model's place in its network; in a dataset its row in models",
        index="model",
    ),
    Column(
        "invocations/modality", "|u1", "invocation", "what it produced",
        scientific=True, codes=MODALITIES,
    ),
    Column("invocations/seed", "<i8", "invocation", "seed given to the model", scientific=True),
    Column(
        "invocations/started", "<f8", "invocation", "when its batch began",
        "seconds since 1970-01-01T00:00:00Z",
    ),
    Column("invocations/seconds", "<f4", "invocation", "its batch's time over its size", "s"),
    Column(
        "invocations/input_tokens", "<i4", "invocation", "tokens read, -1: not counted",
        scientific=True,
    ),
    Column(
        "invocations/output_tokens", "<i4", "invocation", "tokens written, -1: not counted",
        scientific=True,
    ),
    Column(
        "invocations/flags", "<u2", "invocation", "bits: what happened to input and output",
        scientific=True,
        codes={"input_truncated": INPUT_TRUNCATED, "output_truncated": OUTPUT_TRUNCATED,
               "not_kept": NOT_KEPT,
               "output_empty": OUTPUT_EMPTY},
    ),
)  # fmt: skip

FAILURE_COLUMNS = (
    Column("failures/run", "<i8", "failure", "row of the run it happened to", index="run"),
    Column("failures/step", "<i4", "failure", "step that failed"),
    *_ragged("failures", "failure", "UTF-8 text: reason and trace", False),
)

EMBEDDING_COLUMNS = (
    _INDEX,
    _KEY,
    Column("runs/n_rows", "<i4", "run", "its number of embeddings", scientific=True),
    _DIGEST,
    Column(
        "embeddings/step", "<i4", "embedding", "step of the output, -1: the prompt",
        scientific=True,
    ),
    Column(
        "embeddings/vector", "<f4", "embedding", "vector as the model gives it",
        trailing=("component",), scientific=True,
    ),
    Column(
        "embeddings/flags", "<u2", "embedding", "bits: what happened to the input",
        scientific=True,
        codes={"truncated": EMBEDDING_TRUNCATED, "failed": EMBEDDING_FAILED},
    ),
)  # fmt: skip

DIAGRAM_COLUMNS = (
    _INDEX,
    _KEY,
    Column(
        "runs/status", "|u1", "run", "how the diagram came about",
        scientific=True, codes=DIAGRAM_STATUS,
    ),
    Column("runs/points", "<i8", "run", "points of the trajectory", scientific=True),
    Column("runs/distinct_points", "<i8", "run", "of these, different ones", scientific=True),
    Column(
        "runs/complete_dimensions", "|u1", "run",
        "homology dimensions finished, from 0 up; no bars and entropy nan beyond",
        scientific=True,
    ),
    Column("runs/seconds", "<f8", "run", "time to compute", "s"),
    Column("runs/peak_bytes", "<i8", "run", "peak memory of the computation", "byte"),
    _DIGEST,
    Column(
        "diagrams/offsets", "<i8", "diagram",
        "where the bars of (run, homology dimension) begin; one more row",
        index="bar", edges=True, scientific=True,
    ),
    Column(
        "diagrams/bars", "<f4", "bar", "birth and death; death is inf where it never dies",
        "distance", trailing=(2,), scientific=True,
    ),
    Column(
        "diagrams/entropy", "<f8", "run", "persistence entropy, natural logarithm",
        "nat", trailing=("homology_dimension",), scientific=True,
    ),
    *_ragged("reasons", "reason", "UTF-8 text a run: why not computed, or empty", False),
)  # fmt: skip

SHARD_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    RUNS: (
        *RUN_COLUMNS,
        *INVOCATION_COLUMNS,
        *_outputs(TEXT, "UTF-8 text"),
        *_outputs(IMAGE, "the picture, encoded as the experiment says"),
        *FAILURE_COLUMNS,
    ),
    EMBEDDINGS: EMBEDDING_COLUMNS,
    DIAGRAMS: DIAGRAM_COLUMNS,
}

OPTIONAL_COLUMNS: Mapping[str, tuple[Column, ...]] = {
    RUNS: (
        *_outputs("audio", "the sound, encoded"),
        *_outputs("video", "the film, encoded"),
    ),
    DIAGRAMS: (
        Column(
            "surrogates/statistics", "<f8", "run",
            "persistence entropy, total and longest persistence of bars that die, of null models",
            trailing=("null_model", "surrogate", "homology_dimension", "statistic"),
            scientific=True, codes={"gaussian": 0, "phase_randomised": 1},
        ),
    ),
}  # fmt: skip
"""Outputs of a modality that a network produces; null models where an experiment asks for them."""


@cache
def shard_columns(stage: str) -> Mapping[str, Column]:
    """Return {name: column} of all that a shard of `stage` may hold; ShardError for another."""
    if stage not in SHARD_COLUMNS:
        raise ShardError(f"no kind of result is called {stage!r} here")
    columns = (*SHARD_COLUMNS[stage], *OPTIONAL_COLUMNS.get(stage, ()))
    return MappingProxyType({column.name: column for column in columns})


@cache
def required_names(stage: str) -> frozenset[str]:
    """Return the names that a shard of `stage` must hold."""
    return frozenset(column.name for column in SHARD_COLUMNS[stage])
