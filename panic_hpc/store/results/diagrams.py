"""What the diagrams stage's shards hold: persistence diagrams, or the reason why there is none."""

from panic_hpc.store.format.column import Column, ragged_columns
from panic_hpc.store.results.base import DIGEST, INDEX, KEY, ExportTable, ResultKind
from panic_hpc.store.results.rows import ONE, Times
from panic_hpc.types import DIAGRAMS

INCOMPLETE = "incomplete"
"""Status of a diagram that time or memory stopped; elsewhere it has more bars, so no digest."""

DIAGRAM_STATUS = {
    "computed": 0,
    "stopped": 1,
    "skipped": 2,
    "failed": 3,
    "missing": 4,
    INCOMPLETE: 5,
}

_COLUMNS = (
    INDEX,
    KEY,
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
    DIGEST,
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
    *ragged_columns("reasons", "reason", "UTF-8 text a run: why not computed, or empty"),
)  # fmt: skip

# Where an experiment asks for null models.
_SURROGATES = Column(
    "surrogates/statistics", "<f8", "run",
    "persistence entropy, total and longest persistence of bars that die, of null models",
    trailing=("null_model", "surrogate", "homology_dimension", "statistic"),
    scientific=True, codes={"gaussian": 0, "phase_randomised": 1},
)  # fmt: skip

PLUGINS = (
    ResultKind(
        stage=DIAGRAMS,
        columns=_COLUMNS,
        optional=(_SURROGATES,),
        rows_per_run={"diagram": Times("diagrams/entropy"), "reason": ONE},
        undigested={"runs/status": DIAGRAM_STATUS[INCOMPLETE]},
        fill={"runs/status": DIAGRAM_STATUS["missing"]},
        # A budget may differ: what it stopped says so itself.
        must_agree=(
            "homology.metric",
            "homology.maxdim",
            "homology.thresh",
            "homology.engine",
            "homology.surrogates",
        ),
        exports=(
            ExportTable(
                "diagrams",
                "bar",
                ("diagrams/bars",),
                spread={"diagrams/bars": ("birth", "death")},
                place="dimension",
            ),
            ExportTable(
                "diagram_runs",
                "run",
                (
                    "runs/status",
                    "runs/points",
                    "runs/distinct_points",
                    "runs/complete_dimensions",
                    "runs/seconds",
                    "diagrams/entropy",
                ),
                spread={"diagrams/entropy": ("entropy_{}",)},
                texts={"reason": "reasons"},
            ),
        ),
    ),
)
