"""From a file of chains to an experiment whose runs are done: what is left is to embed them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.entries import as_prompt
from panic_hpc.keys import content_key
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest as manifests
from panic_hpc.planning.manifest import Manifest
from panic_hpc.planning.plan import PlanOptions, make_plan
from panic_hpc.recorded.arrays import runs_arrays
from panic_hpc.recorded.chains_file import Chain, ChainsFile, read_chains
from panic_hpc.store.format.shard import ShardHeader, publish_shard
from panic_hpc.types import RUNS, Prompt, Shard
from panic_hpc.validation.problems import at_most
from panic_hpc.versions import own_version

RUNS_PER_SHARD = 1000
FAMILY = "recorded"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImportedChains:
    """What an import made: the experiment, the chains in it, and the places that have none."""

    manifest: Manifest
    n_chains: int
    n_empty: int


def import_chains(
    file: Path,
    root: Path,
    *,
    network: str = "",
    group: str = "",
    embedding_models: Sequence[str] = (),
    report: Report = lambda done, total: None,
) -> ImportedChains:
    """Make the experiment in `root` whose runs are the chains in `file`, each with its prompt.

    `network` names the label that tells networks apart (one for all chains where ""), `group` that
    of the prompts' paraphrase groups. Chains of one network and prompt are numbered by seeds 0, 1,
    …; where others have more, a run that failed says that the file has none. The other stages are
    for `submit`. The same import again changes nothing.

    Raises ConfigError that names each bad line, or unknown model; ManifestError where `root` holds
    something else.

        import_chains(Path("retold.jsonl"), Path("EXP"), embedding_models=["MPNet"])
    """
    source = read_chains(file)
    layout = _Layout.of(source, network, group)
    plan = make_plan(
        _experiment(source, layout, embedding_models),
        catalogue.load(),
        PlanOptions(runs_per_shard=RUNS_PER_SHARD),
    )
    paths = ExperimentPaths(root)
    manifest = manifests.write(plan, paths)
    for done, shard in enumerate(manifest.run_shards):
        report(done, len(manifest.run_shards))
        runs = list(manifest.runs(shard.first_run, shard.n_runs))
        chains = [layout.place(run.network, run.prompt, run.seed) for run in runs]
        target = Shard(RUNS, shard.index, "", shard.first_run, shard.n_runs)
        header = _header(source, manifest, shard.index, zip(runs, chains, strict=True))
        publish_shard(
            paths.shard(target), header, runs_arrays(runs, chains, manifest.experiment.max_length)
        )
    report(len(manifest.run_shards), len(manifest.run_shards))
    return ImportedChains(manifest, len(source.chains), manifest.n_runs - len(source.chains))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which chain stands where: by network, prompt and number among those of both."""

    networks: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    n_seeds: int
    chains: dict[tuple[int, int, int], Chain]

    @classmethod
    def of(cls, source: ChainsFile, network: str, group: str) -> "_Layout":
        _require_labels(source, network, group)
        networks = {_label(chain, network): None for chain in source.chains}
        groups = {chain.start: _label(chain, group) for chain in source.chains}
        network_of = {name: place for place, name in enumerate(networks)}
        prompt_of = {text: place for place, text in enumerate(groups)}
        numbers: dict[tuple[int, int], Iterator[int]] = {}
        chains = {}
        for chain in source.chains:
            place = network_of[_label(chain, network)], prompt_of[chain.start]
            chains[(*place, next(numbers.setdefault(place, count())))] = chain
        prompts = tuple(as_prompt({"text": text, "group": name}) for text, name in groups.items())
        return cls(tuple(networks), prompts, 1 + max(seed for _, _, seed in chains), chains)

    def place(self, network: int, prompt: int, seed: int) -> Chain | None:
        return self.chains.get((network, prompt, seed))


def _label(chain: Chain, name: str) -> str:
    return chain.labels.get(name, "") if name else ""


def _require_labels(source: ChainsFile, network: str, group: str) -> None:
    """Raise ConfigError for a label that no chain has, or groups that part the runs of a prompt."""
    known = sorted({name for chain in source.chains for name in chain.labels})
    problems = [
        f"no run has a label {name!r}; there are: {', '.join(known) or 'none'}"
        for name in (network, group)
        if name and name not in known
    ]
    groups: dict[str, str] = {}
    problems += [
        f"run {chain.name!r}: its prompt is of group {groups[chain.start]!r} in another run, and "
        f"of {_label(chain, group)!r} in this one"
        for chain in source.chains
        if groups.setdefault(chain.start, _label(chain, group)) != _label(chain, group)
    ]
    if problems:
        raise ConfigError(str(source.path), at_most(problems))


def _experiment(source: ChainsFile, layout: _Layout, embedding_models: Sequence[str]) -> Experiment:
    names = [_model_name(label) for label in layout.networks]
    return Experiment.model_validate(
        {
            "name": _UNSAFE.sub("-", source.path.stem)[:64].strip("-") or "chains",
            "networks": [[name] for name in names],
            "prompts": layout.prompts,
            "seeds": tuple(range(layout.n_seeds)),
            "embedding_models": tuple(embedding_models),
            "max_length": max(len(chain.told) for chain in source.chains),
            # A text that comes back proves nothing of people, nor of models whose seeds nobody
            # knows.
            "noise": "per_step",
            "loop_stop": False,
            "models": {
                name: {"family": FAMILY, "source": source.sha256, "label": label}
                for name, label in zip(names, layout.networks, strict=True)
            },
        }
    )


def _model_name(label: str) -> str:
    """Return a name that a model may have, another for every label."""
    safe = _UNSAFE.sub("-", label).strip("-")[:40]
    if not label or safe == label:
        return f"told-{label}" if label else "told"
    return f"told-{safe}-{content_key(label)[:8]}"


def _header(source: ChainsFile, manifest: Manifest, index: int, runs: Any) -> ShardHeader:
    """Return the header of a shard; it keeps what each of its runs was called, and its labels."""
    provenance = {
        "imported": {
            "file": source.path.name,
            "sha256": source.sha256,
            "runs": {
                str(run.index): {"run": chain.name, "labels": dict(chain.labels)}
                for run, chain in runs
                if chain
            },
        },
        "versions": {"panic-hpc": own_version()},
    }
    return ShardHeader(RUNS, index, "", manifest.key, {"imported": "chains"}, provenance)
