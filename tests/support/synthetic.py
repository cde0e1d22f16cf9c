"""Shards of made-up experiments: a run's content follows from its key, whatever shard it is in."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from panic_hpc.keys import content_key, run_key
from panic_hpc.merging.assembling import MergeOptions
from panic_hpc.merging.inputs import Input, MergeInputs
from panic_hpc.merging.merge import Merged, join
from panic_hpc.merging.ranks import Alone, Ranks
from panic_hpc.merging.unify import ExperimentInfo, NetworkInfo
from panic_hpc.store.format import ragged
from panic_hpc.store.format.shard import ShardHeader, publish_shard
from panic_hpc.store.results.base import kind_of
from panic_hpc.types import DIAGRAMS, EMBEDDINGS, IMAGE, RUNS, TEXT, ModelSpec, Prompt, Run, Shard

Arrays = dict[str, Any]
DIMENSIONS = 3


def model(name: str, consumes: str, produces: str) -> ModelSpec:
    return ModelSpec(name, "made-up", consumes, produces, f"org/{name}", "0" * 40, "", 4, {})


PAINTER = model("Painter", TEXT, IMAGE)
TELLER = model("Teller", IMAGE, TEXT)
OTHER_TELLER = model("OtherTeller", IMAGE, TEXT)
SENSE = model("Sense", TEXT, "embedding")
SIGHT = model("Sight", IMAGE, "embedding")


@dataclass(frozen=True)
class Experiment:
    """A made-up experiment: a run a network, prompt and seed, of at most `max_length` steps."""

    root: Path
    networks: tuple[tuple[ModelSpec, ...], ...] = ((PAINTER, TELLER), (PAINTER, OTHER_TELLER))
    prompts: tuple[Prompt, ...] = (Prompt("a red apple", "fruit"), Prompt("the moon ☾"))
    seeds: tuple[int, ...] = (1, 2, 3)
    embedding_models: tuple[ModelSpec, ...] = (SENSE, SIGHT)
    max_length: int = 9
    image_bytes: int = 300
    twist: str = ""
    has_real_images: bool = False

    @property
    def key(self) -> str:
        return content_key([str(self.networks), str(self.prompts), self.seeds, self.max_length])

    def network_key(self, number: int) -> str:
        return content_key([[m.identity() for m in self.networks[number]], self.max_length])

    @property
    def runs(self) -> list[Run]:
        return [
            Run(0, run_key(self.network_key(n), prompt.text, seed, "fixed"), n, p, seed, "fixed")
            for n in range(len(self.networks))
            for p, prompt in enumerate(self.prompts)
            for seed in self.seeds
        ]

    @property
    def info(self) -> ExperimentInfo:
        return ExperimentInfo(
            self.key,
            self.root.name,
            self.root.name,
            {"max_length": self.max_length},
            self.prompts,
            tuple(
                NetworkInfo(self.network_key(number), models)
                for number, models in enumerate(self.networks)
            ),
            self.embedding_models,
            len(self.runs),
        )


def chance(*parts: object) -> np.random.Generator:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def steps_of(experiment: Experiment, run: Run) -> int:
    return int(chance(run.key, "steps").integers(1, experiment.max_length + 1))


def caption(experiment: Experiment, run: Run, step: int) -> str:
    return f"{run.key[:4]} sees ☾ at {step}{experiment.twist}" if step else ""


def picture(experiment: Experiment, run: Run, step: int) -> bytes:
    rng = chance(run.key, step)
    if experiment.has_real_images:
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (4, 5, 3), np.uint8)).save(stream, "PNG")
        return stream.getvalue()
    return rng.bytes(int(rng.integers(0, experiment.image_bytes)))


def runs_arrays(experiment: Experiment, first: int, runs: Sequence[Run]) -> Arrays:
    n_steps = [steps_of(experiment, run) for run in runs]
    rows = [(run, step) for run, count in zip(runs, n_steps, strict=True) for step in range(count)]
    n = len(rows)
    texts = [place for place, (_, step) in enumerate(rows) if step % 2]
    images = [place for place, (_, step) in enumerate(rows) if not step % 2]
    failed = [place for place, run in enumerate(runs) if run.seed == 3]
    arrays = {
        "runs/index": range(first, first + len(runs)),
        "runs/key": [run.key.encode() for run in runs],
        "runs/network": [run.network for run in runs],
        "runs/prompt": [run.prompt for run in runs],
        "runs/seed": [run.seed for run in runs],
        "runs/noise": [0] * len(runs),
        "runs/n_steps": n_steps,
        "runs/ended": [2 if run.seed == 3 else 0 for run in runs],
        "runs/loop_start": [-1] * len(runs),
        "runs/loop_length": [0] * len(runs),
        "invocations/step": [step for _, step in rows],
        "invocations/model": [step % 2 for _, step in rows],
        "invocations/modality": [1 - step % 2 for _, step in rows],
        "invocations/seed": [run.seed for run, _ in rows],
        "invocations/started": np.random.default_rng().random(n),
        "invocations/seconds": np.random.default_rng().random(n),
        "invocations/input_tokens": [7] * n,
        "invocations/output_tokens": [-1] * n,
        "invocations/flags": [0] * n,
        "texts/invocation": texts,
        "images/invocation": images,
        "failures/run": failed,
        "failures/step": [n_steps[place] for place in failed],
    }
    arrays["texts/offsets"], arrays["texts/values"] = ragged.pack_texts(
        [caption(experiment, *rows[place]) for place in texts]
    )
    arrays["images/offsets"], arrays["images/values"] = ragged.pack(
        [picture(experiment, *rows[place]) for place in images]
    )
    reasons = [f"{runs[place].key} broke" for place in failed]
    arrays["failures/offsets"], arrays["failures/values"] = ragged.pack_texts(reasons)
    return typed(RUNS, arrays)


def embedding_steps(experiment: Experiment, run: Run, spec: ModelSpec) -> list[int]:
    parity = 1 if spec.consumes == TEXT else 0
    own = [step for step in range(steps_of(experiment, run)) if step % 2 == parity]
    return [-1, *own] if spec.consumes == TEXT else own


def vector(run: Run, step: int, spec: ModelSpec) -> Any:
    return chance(run.key, step, spec.name).random(5, dtype=np.float32)


def embeddings_arrays(
    experiment: Experiment, first: int, runs: Sequence[Run], spec: ModelSpec
) -> Arrays:
    steps = [embedding_steps(experiment, run, spec) for run in runs]
    rows = [(run, step) for run, own in zip(runs, steps, strict=True) for step in own]
    vectors = [vector(run, step, spec) for run, step in rows]
    return typed(
        EMBEDDINGS,
        {
            "runs/index": range(first, first + len(runs)),
            "runs/key": [run.key.encode() for run in runs],
            "runs/n_rows": [len(own) for own in steps],
            "embeddings/step": [step for _, step in rows],
            "embeddings/vector": np.array(vectors).reshape(-1, 5),
            "embeddings/flags": [0] * len(rows),
        },
    )


def bars(run: Run, dimension: int) -> Any:
    rng = chance(run.key, dimension, "bars")
    return rng.random((int(rng.integers(0, 4)), 2), dtype=np.float32)


def diagrams_arrays(first: int, runs: Sequence[Run]) -> Arrays:
    dgms = [bars(run, dimension) for run in runs for dimension in range(DIMENSIONS)]
    skipped = [run.seed == 3 for run in runs]
    arrays = {
        "runs/index": range(first, first + len(runs)),
        "runs/key": [run.key.encode() for run in runs],
        "runs/status": [2 if skip else 0 for skip in skipped],
        "runs/points": [5] * len(runs),
        "runs/distinct_points": [4] * len(runs),
        "runs/complete_dimensions": [0 if skip else DIMENSIONS for skip in skipped],
        "runs/seconds": [0.5] * len(runs),
        "runs/peak_bytes": [1000] * len(runs),
        "diagrams/offsets": ragged.offsets_of(len(dgm) for dgm in dgms),
        "diagrams/bars": np.concatenate(dgms),
        "diagrams/entropy": np.ones((len(runs), DIMENSIONS)),
    }
    arrays["reasons/offsets"], arrays["reasons/values"] = ragged.pack_texts(
        ["too few points" if skip else "" for skip in skipped]
    )
    return typed(DIAGRAMS, arrays)


def typed(stage: str, arrays: Arrays) -> Arrays:
    columns = kind_of(stage).by_name
    return {name: np.asarray(list(v) if isinstance(v, range) else v, columns[name].dtype)
            for name, v in arrays.items()}  # fmt: skip


def shards_of(layout: Sequence[int], stage: str, models: Sequence[str]) -> Iterator[Shard]:
    number = 0
    for name in models:
        first = 0
        for count in layout:
            yield Shard(stage, number, name, first, count)
            first, number = first + count, number + 1


def write(
    experiment: Experiment,
    runs_layout: Sequence[int],
    other_layout: Sequence[int] | None = None,
    numerics: str = "one machine",
) -> list[Input]:
    """Publish all shards, cut as the layouts say; return what a merge takes."""
    runs = [replace(run, index=index) for index, run in enumerate(experiment.runs)]
    assert sum(runs_layout) == len(runs)
    specs = {spec.name: spec for spec in experiment.embedding_models}
    inputs = []
    for stage in (RUNS, EMBEDDINGS, DIAGRAMS):
        layout = runs_layout if stage == RUNS else (other_layout or runs_layout)
        for shard in shards_of(layout, stage, [""] if stage == RUNS else list(specs)):
            chosen = runs[shard.first_run : shard.first_run + shard.n_runs]
            if stage == RUNS:
                arrays = runs_arrays(experiment, shard.first_run, chosen)
            elif stage == EMBEDDINGS:
                spec = specs[shard.model]
                arrays = embeddings_arrays(experiment, shard.first_run, chosen, spec)
            else:
                arrays = diagrams_arrays(shard.first_run, chosen)
            path = experiment.root / stage / shard.model / f"{stage}_{shard.index:05d}.h5"
            header = ShardHeader(
                stage, shard.index, shard.model, experiment.key, {"cpu": numerics}, {"host": "h"}
            )
            publish_shard(path, header, arrays)
            inputs.append(Input(0, shard, path, experiment.key, shard.model))
    return inputs


def merged(
    target: Path,
    *experiments: tuple[Experiment, Sequence[Input]],
    ranks: Ranks | None = None,
    missing: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> Merged:
    """Merge made-up experiments into `target`."""
    infos = [experiment.info for experiment, _ in experiments]
    inputs = [
        replace(one, experiment=number)
        for number, (_, own) in enumerate(experiments)
        for one in own
    ]
    given = MergeInputs(infos, inputs, missing)
    return join(given, target, MergeOptions(**options), ranks or Alone())


def pictured(root: Path) -> Path:
    """Write an experiment of twelve runs with real pictures in two shards; return its dataset."""
    experiment = Experiment(root / "exp", has_real_images=True)
    return merged(root / "dataset.h5", (experiment, write(experiment, [7, 5]))).path
