"""What the runs stage's shards hold: runs, their invocations, what these put out, failures."""

from collections.abc import Iterator

import numpy as np

from panic_hpc.store.format.column import (
    MODALITIES,
    OUTPUT_GROUPS,
    REQUIRED_OUTPUTS,
    Column,
    ragged_columns,
)
from panic_hpc.store.format.references import ARRAY as REFERRED
from panic_hpc.store.results.base import DIGEST, INDEX, KEY, Problem, ResultKind
from panic_hpc.store.results.rows import Counted, Sorted
from panic_hpc.store.results.section import Section
from panic_hpc.types import IMAGE, RUNS, TEXT

NOISE = {"fixed": 0, "per_step": 1}
ENDED = {"length": 0, "loop": 1, "failed": 2, "unknown": 3}

INPUT_TRUNCATED = 1
OUTPUT_TRUNCATED = 2
NOT_KEPT = 4
OUTPUT_EMPTY = 8

RUN_COLUMNS = (
    INDEX,
    KEY,
    Column("runs/network", "<i4", "run", "number of its network", index="network"),
    Column("runs/prompt", "<i4", "run", "number of its prompt", index="prompt"),
    Column("runs/seed", "<i8", "run", "seed of the run", scientific=True),
    Column("runs/noise", "|u1", "run", "how steps are seeded", scientific=True, codes=NOISE),
    Column("runs/n_steps", "<i4", "run", "its number of invocations", scientific=True),
    Column("runs/ended", "|u1", "run", "why it ended", scientific=True, codes=ENDED),
    Column("runs/loop_start", "<i4", "run", "first step of its loop, -1: none", scientific=True),
    Column("runs/loop_length", "<i4", "run", "steps in its loop, 0: none", scientific=True),
    DIGEST,
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

# Where the worker's GPUs have counters, of whole cards: what others do on them is in it.
JOULES = Column(
    "invocations/joules", "<f4", "invocation",
    "its batch's energy on the worker's GPUs over its size, nan: not counted", "J",
)  # fmt: skip

FAILURE_COLUMNS = (
    Column("failures/run", "<i8", "failure", "row of the run it happened to", index="run"),
    Column("failures/step", "<i4", "failure", "step that failed"),
    *ragged_columns("failures", "failure", "UTF-8 text: reason and trace"),
)

_OUTPUTS = {
    TEXT: "UTF-8 text",
    IMAGE: "the picture, encoded as the experiment says",
    "audio": "the sound, encoded",
    "video": "the film, encoded",
}


def _output_columns(modality: str) -> tuple[Column, ...]:
    group = OUTPUT_GROUPS[modality]
    return (
        Column(
            f"{group}/invocation", "<i8", modality, "row of the invocation that made it, ascending",
            index="invocation", scientific=True,
        ),
        *ragged_columns(group, modality, _OUTPUTS[modality], scientific=True),
    )  # fmt: skip


def step_problems(section: Section) -> Iterator[Problem]:
    """Yield whether steps do not count the invocations of each run."""
    n_steps = section.whole("runs/n_steps")
    steps = section.whole("invocations/step")
    first = np.repeat(np.cumsum(n_steps) - n_steps, n_steps)
    if np.any(steps != np.arange(len(steps)) - first):
        yield "S05", "invocations/step does not count 0, 1, 2, … within each run"


_EVERY_OUTPUT = {modality: _output_columns(modality) for modality in OUTPUT_GROUPS}

PLUGINS = (
    ResultKind(
        stage=RUNS,
        per_model=False,
        columns=(
            *RUN_COLUMNS,
            *INVOCATION_COLUMNS,
            *(column for modality in REQUIRED_OUTPUTS for column in _EVERY_OUTPUT[modality]),
            *FAILURE_COLUMNS,
        ),
        # Energy where it was counted, and outputs of a modality that some network produces.
        optional=(
            JOULES,
            *(
                column
                for modality, columns in _EVERY_OUTPUT.items()
                if modality not in REQUIRED_OUTPUTS
                for column in columns
            ),
        ),
        rows_per_run={
            "invocation": Counted("runs/n_steps"),
            "failure": Sorted("failures/run", strict=False),
            **{
                modality: Sorted(f"{group}/invocation") for modality, group in OUTPUT_GROUPS.items()
            },
        },
        dataset_offsets={"invocation": "offsets"},
        may_stay=(REFERRED,),
        checks=(step_problems,),
    ),
)
