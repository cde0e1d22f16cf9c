"""What the embeddings stage's shards hold: a vector for each output of a run that a model reads."""

from collections.abc import Iterator

from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import DIGEST, INDEX, KEY, ExportTable, Problem, ResultKind
from panic_hpc.store.results.rows import Counted, ascending_problems
from panic_hpc.store.results.section import Section
from panic_hpc.types import EMBEDDINGS

EMBEDDING_TRUNCATED = 1
EMBEDDING_FAILED = 2

_COLUMNS = (
    INDEX,
    KEY,
    Column("runs/n_rows", "<i4", "run", "its number of embeddings", scientific=True),
    DIGEST,
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


def step_problems(section: Section) -> Iterator[Problem]:
    """Yield whether the steps of a run's embeddings do not ascend, from -1 (the prompt) on."""
    return ascending_problems(section, "embeddings/step", -1)


PLUGINS = (
    ResultKind(
        stage=EMBEDDINGS,
        columns=_COLUMNS,
        rows_per_run={"embedding": Counted("runs/n_rows")},
        dataset_offsets={"embedding": "offsets"},
        checks=(step_problems,),
        exports=(
            ExportTable(
                "embeddings",
                "embedding",
                ("embeddings/step", "embeddings/flags", "embeddings/vector"),
            ),
        ),
    ),
)
