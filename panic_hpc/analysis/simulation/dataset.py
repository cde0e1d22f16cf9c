"""A planted experiment as a dataset in our own format: shards of made-up runs, merged as others."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panic_hpc.analysis.simulation import planted as plant
from panic_hpc.analysis.simulation.planted import Planted
from panic_hpc.analysis.simulation.simulated import missing_runs
from panic_hpc.analysis.simulation.states import prompt_vector, run_states
from panic_hpc.disk.blocks import require_space
from panic_hpc.disk.publish import publish_over, temporary_directory
from panic_hpc.keys import content_key, run_key, step_seed
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.inputs import Input, MergeInputs
from panic_hpc.merging.merge import Merged, join
from panic_hpc.merging.own_dataset import admit_dataset
from panic_hpc.merging.ranks import Alone
from panic_hpc.merging.unify import ExperimentInfo, NetworkInfo
from panic_hpc.store.format import ragged
from panic_hpc.store.format.column import MODALITIES
from panic_hpc.store.format.file_digest import write_digest
from panic_hpc.store.format.reader import ArrayFile
from panic_hpc.store.format.shard import ShardHeader, Stream, publish_shard
from panic_hpc.store.results.base import kind_of
from panic_hpc.store.results.runs import ENDED, NOISE, NOT_KEPT
from panic_hpc.types import EMBEDDINGS, IMAGE, RUNS, TEXT, ModelSpec, Prompt, Shard
from panic_hpc.versions import own_version

MODEL = "SimulatedText"
N_WORDS = 10
"""Words of a made-up caption: each says on which side of a random plane its state lies."""
Report = Callable[[int, int], None]


def write_dataset(
    planted: Planted,
    target: Path,
    *,
    force: bool = False,
    report: Report = lambda done, total: None,
) -> Merged:
    """Write what is planted as a dataset; only a dataset of the same plant is replaced unasked.

    Each state is a caption, and the picture before it was not kept. Takes twice its size on disk
    while it works (DiskError where there is no room for that), and memory for one run and the
    numbers of a network's steps.
    """
    require_space(target.parent, 2 * planted.nbytes, f"A dataset of {planted.n_runs} runs")
    info = _experiment(planted)
    admit_dataset(target, [info.key], [], force=force)
    with temporary_directory(target, ".simulate-") as directory:
        inputs = list(_shards(planted, info, directory, report))
        staged = directory / "dataset.h5"
        merged = join(MergeInputs([info], inputs), staged, MergeOptions(), Alone())
        admit_dataset(target, [info.key], [], force=force)
        with ArrayFile(staged) as file:
            write_digest(file, target)
        publish_over(staged, target)
    return Merged(
        target, merged.content_key, merged.n_runs, merged.nbytes, merged.n_missing, merged.is_new
    )


def _experiment(planted: Planted) -> ExperimentInfo:
    config = {name: _plain(value) for name, value in asdict(planted).items()}
    networks = [planted.models(network) for network in range(planted.networks)]
    return ExperimentInfo(
        key=content_key(["simulated", config]),
        name="simulated",
        source="panic-hpc simulate",
        config={"planted": config, "max_length": 2 * planted.states},
        prompts=tuple(
            Prompt(plant.prompt_text(p), plant.group_name(planted, p))
            for p in range(planted.prompts)
        ),
        networks=tuple(
            NetworkInfo(content_key(["simulated", config, g, c]), (_painter(g), _teller(c)))
            for g, c in networks
        ),
        shard_models=(_model(MODEL, TEXT, "embedding"),),
        n_runs=planted.n_runs,
    )


def _plain(value: Any) -> Any:
    # JSON has no infinity, and a time that never ends is one.
    return "inf" if value == float("inf") else value


def _model(name: str, consumes: str, produces: str) -> ModelSpec:
    # By repository: names are no part of the identity of a model.
    return ModelSpec(name, "simulated", consumes, produces, name, "", "", 1, {})


def _painter(number: int) -> ModelSpec:
    return _model(plant.generator_name(number), TEXT, IMAGE)


def _teller(number: int) -> ModelSpec:
    return _model(plant.captioner_name(number), IMAGE, TEXT)


def _shards(
    planted: Planted, info: ExperimentInfo, folder: Path, report: Report
) -> Iterator[Input]:
    """Publish and yield two shards a network: its runs, and their embeddings."""
    count = planted.prompts * planted.runs
    absent = missing_runs(planted)
    for network in range(planted.networks):
        first = network * count
        runs = range(first, first + count)
        states = _States(planted, info.networks[network].key, runs, absent, report)
        # Embeddings first: captions are made of the states as these are drawn.
        for stage, model, arrays in (
            (EMBEDDINGS, MODEL, states.embeddings),
            (RUNS, "", states.runs),
        ):
            path = folder / f"{stage}_{network:05d}.h5"
            header = ShardHeader(stage, network, model, info.key, {"simulated": own_version()}, {})
            publish_shard(path, header, _typed(stage, arrays()))
            yield Input(0, Shard(stage, network, model, first, count), path, info.key, model)


class _States:
    """The runs of one network, their states drawn once and their captions kept."""

    def __init__(
        self,
        planted: Planted,
        network_key: str,
        runs: Sequence[int],
        absent: NDArray[np.bool_],
        report: Report,
    ) -> None:
        self.planted, self.numbers, self.report = planted, runs, report
        self.lengths = [0 if absent[run] else planted.states for run in runs]
        self.keys = [_key(planted, network_key, run) for run in runs]
        self.captions: list[str] = []
        self.planes = np.random.default_rng([planted.seed, 98]).standard_normal(
            (planted.dimensions, N_WORDS)
        )

    def embeddings(self) -> dict[str, Any]:
        p = self.planted
        own = [2 * state + 1 for state in range(p.states)]
        before = [-1] if p.embeds_prompts else []
        steps = [before + own[:length] for length in self.lengths]
        n_rows = [len(rows) for rows in steps]
        total = sum(n_rows)
        return {
            "runs/index": np.array(self.numbers),
            "runs/key": self.keys,
            "runs/n_rows": n_rows,
            "embeddings/step": np.concatenate([np.array(rows, "<i4") for rows in steps]),
            "embeddings/vector": Stream("<f4", (total, p.dimensions), self._vectors()),
            "embeddings/flags": np.zeros(total),
        }

    def _vectors(self) -> Iterator[NDArray[np.float32]]:
        p = self.planted
        for run, length in zip(self.numbers, self.lengths, strict=True):
            if p.embeds_prompts:
                yield prompt_vector(p, p.run(run)[1])[None]
            if length:
                states, _ = run_states(p, run)
                self.captions += _captions(states @ self.planes)
                yield states
            self.report(run + 1, p.n_runs)

    def runs(self) -> dict[str, Any]:
        p = self.planted
        n_steps = np.array([2 * length for length in self.lengths])
        places = [p.run(run) for run in self.numbers]
        seeds = [
            step_seed(places[at][2], step) for at, n in enumerate(n_steps) for step in range(n)
        ]
        step = np.concatenate([np.arange(n) for n in n_steps]).astype("<i4")
        is_text = step % 2 == 1
        failed = np.flatnonzero(n_steps == 0)
        arrays: dict[str, Any] = {
            "runs/index": np.array(self.numbers),
            "runs/key": self.keys,
            "runs/network": [network for network, _, _ in places],
            "runs/prompt": [prompt for _, prompt, _ in places],
            "runs/seed": [seed for _, _, seed in places],
            "runs/noise": [NOISE["per_step"]] * len(places),
            "runs/n_steps": n_steps,
            "runs/ended": np.where(n_steps == 0, ENDED["failed"], ENDED["length"]),
            "runs/loop_start": [-1] * len(places),
            "runs/loop_length": [0] * len(places),
            "invocations/step": step,
            "invocations/model": step % 2,
            "invocations/modality": np.where(is_text, MODALITIES[TEXT], MODALITIES[IMAGE]),
            "invocations/seed": seeds,
            "invocations/started": np.zeros(len(step)),
            "invocations/seconds": np.zeros(len(step)),
            "invocations/input_tokens": np.full(len(step), -1),
            "invocations/output_tokens": np.where(is_text, N_WORDS, -1),
            "invocations/flags": np.where(is_text, 0, NOT_KEPT),
            "texts/invocation": np.flatnonzero(is_text),
            "images/invocation": [],
            "images/offsets": [0],
            "images/values": [],
            "failures/run": failed,
            "failures/step": np.zeros(len(failed)),
        }
        texts = ragged.pack_texts(self.captions)
        arrays["texts/offsets"], arrays["texts/values"] = texts
        reasons = ragged.pack_texts(["missing, as was planted"] * len(failed))
        arrays["failures/offsets"], arrays["failures/values"] = reasons
        return arrays


def _captions(sides: NDArray[Any]) -> list[str]:
    """Return a caption a state: a word for each plane, by side and distance of the state."""
    levels = np.clip(np.floor(sides * 8).astype(int) + 4, 0, 7)
    return [" ".join(_WORDS[word][level] for word, level in enumerate(row)) for row in levels]


def _word(plane: int, level: int) -> str:
    digest = hashlib.sha256(f"{plane} {level}".encode()).digest()
    return "".join("bdfgklmnprstvz"[b % 14] + "aeiou"[b % 5] for b in digest[:3])


_WORDS = [[_word(plane, level) for level in range(8)] for plane in range(N_WORDS)]


def _key(planted: Planted, network_key: str, run: int) -> bytes:
    _, prompt, seed = planted.run(run)
    return run_key(network_key, plant.prompt_text(prompt), seed, "per_step").encode()


def _typed(stage: str, arrays: dict[str, Any]) -> dict[str, Any]:
    columns = kind_of(stage).by_name
    return {
        name: values if isinstance(values, Stream) else np.asarray(values, columns[name].dtype)
        for name, values in arrays.items()
    }
