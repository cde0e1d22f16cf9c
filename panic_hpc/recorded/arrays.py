"""The arrays of a runs shard whose texts were made elsewhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.keys import step_seed
from panic_hpc.recorded.chains_file import Chain
from panic_hpc.store.format import ragged
from panic_hpc.store.format.column import MODALITIES
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.runs import ENDED, NOISE, OUTPUT_EMPTY
from panic_hpc.types import RUNS, TEXT, Run


def runs_arrays(
    runs: Sequence[Run], chains: Sequence[Chain | None], max_length: int
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a runs shard; a run without a chain has failed, and says why.

    A chain of fewer texts than `max_length` ended for a reason that nobody told.
    """
    told = [chain.told if chain else () for chain in chains]
    lengths = np.array([len(texts) for texts in told])
    steps = [step for texts in told for step in range(len(texts))]
    columns = kind_of(RUNS).by_name
    values = {
        **_run_columns(runs, lengths, max_length),
        **_invocation_columns(runs, [text for texts in told for text in texts], steps, lengths),
        **_failures([place for place, chain in enumerate(chains) if chain is None]),
    }
    return {name: np.asarray(value, columns[name].dtype) for name, value in values.items()}


def _run_columns(
    runs: Sequence[Run], lengths: NDArray[np.int64], max_length: int
) -> dict[str, Any]:
    ended = np.where(lengths == max_length, ENDED["length"], ENDED["unknown"])
    return {
        "runs/index": [run.index for run in runs],
        "runs/key": [run.key.encode() for run in runs],
        "runs/network": [run.network for run in runs],
        "runs/prompt": [run.prompt for run in runs],
        "runs/seed": [run.seed for run in runs],
        "runs/noise": [NOISE[run.noise] for run in runs],
        "runs/n_steps": lengths,
        "runs/ended": np.where(lengths == 0, ENDED["failed"], ended),
        "runs/loop_start": np.full(len(runs), -1),
        "runs/loop_length": np.zeros(len(runs)),
    }


def _invocation_columns(
    runs: Sequence[Run], texts: Sequence[str], steps: Sequence[int], lengths: NDArray[np.int64]
) -> dict[str, Any]:
    n_rows = len(texts)
    offsets, values = ragged.pack_texts(texts)
    seeds = np.repeat([run.seed for run in runs], lengths)
    return {
        "invocations/step": steps,
        "invocations/model": np.zeros(n_rows),
        "invocations/modality": np.full(n_rows, MODALITIES[TEXT]),
        "invocations/seed": [step_seed(int(s), step) for s, step in zip(seeds, steps, strict=True)],
        "invocations/started": np.zeros(n_rows),
        "invocations/seconds": np.zeros(n_rows),
        "invocations/input_tokens": np.full(n_rows, -1),
        "invocations/output_tokens": np.full(n_rows, -1),
        "invocations/flags": [0 if text else OUTPUT_EMPTY for text in texts],
        "texts/invocation": np.arange(n_rows),
        "texts/offsets": offsets,
        "texts/values": values,
        "images/invocation": [],
        "images/offsets": [0],
        "images/values": [],
    }


def _failures(absent: Sequence[int]) -> dict[str, Any]:
    offsets, values = ragged.pack_texts(["the file has no such chain"] * len(absent))
    return {
        "failures/run": list(absent),
        "failures/step": np.zeros(len(absent)),
        "failures/offsets": offsets,
        "failures/values": values,
    }
