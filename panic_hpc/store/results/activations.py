"""What the activations stage's shards hold: pooled activations of a picture model's layers.

A row is one output of a run at one location, layer and pass; layers differ in width, so vectors
are ragged.
"""

from collections.abc import Iterator

import numpy as np

from panic_hpc.store.format.column import Column
from panic_hpc.store.results.base import DIGEST, INDEX, KEY, ExportTable, Problem, ResultKind
from panic_hpc.store.results.rows import Counted
from panic_hpc.store.results.section import Section

ACTIVATIONS = "activations"
LOCATION_CODES = {"ffn": 0, "ca": 1, "block": 2, "text": 3}

_COLUMNS = (
    INDEX,
    KEY,
    Column("runs/n_rows", "<i4", "run", "its number of activations", scientific=True),
    Column(
        "runs/differing", "<i4", "run",
        "its outputs that came out otherwise than stored, on another numerics class",
    ),
    DIGEST,
    Column("activations/step", "<i4", "activation", "step of the output", scientific=True),
    Column(
        "activations/location", "|u1", "activation", "where in a layer",
        scientific=True, codes=LOCATION_CODES,
    ),
    Column("activations/layer", "<i2", "activation", "number of the layer", scientific=True),
    Column(
        "activations/pass", "<i2", "activation", "denoising step, from 0; 0 of text encoders",
        scientific=True,
    ),
    Column(
        "activations/offsets", "<i8", "activation", "where each vector begins; one more row",
        index="activation_component", edges=True, scientific=True,
    ),
    Column(
        "activations/values", "<f4", "activation_component",
        "mean over tokens of the conditional half", scientific=True,
    ),
)  # fmt: skip


def order_problems(section: Section) -> Iterator[Problem]:
    """Yield whether a run's rows are not in order of step, location, layer and pass."""
    n_rows = section.whole("runs/n_rows")
    run = np.repeat(np.arange(len(n_rows)), n_rows)
    names = ("step", "location", "layer", "pass")
    keys = [run, *(section.whole(f"activations/{name}").astype(np.int64) for name in names)]
    ascends = np.zeros(max(0, len(run) - 1), bool)
    equal = ~ascends
    for key in keys:
        ascends |= equal & (key[1:] > key[:-1])
        equal &= key[1:] == key[:-1]
    if not ascends.all():
        yield "S05", f"{section.place('activations/step')} is not in order within each run"


PLUGINS = (
    ResultKind(
        stage=ACTIVATIONS,
        columns=_COLUMNS,
        rows_per_run={"activation": Counted("runs/n_rows")},
        dataset_offsets={"activation": "rows"},
        checks=(order_problems,),
        exports=(
            ExportTable(
                ACTIVATIONS,
                "activation",
                (
                    "activations/step",
                    "activations/location",
                    "activations/layer",
                    "activations/pass",
                ),
            ),
        ),
    ),
)
