"""`panic-hpc show`: what an experiment is, as it was planned."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panic_hpc.cli.console.options import Json, Root

if TYPE_CHECKING:
    from panic_hpc.planning.manifest import Manifest

PANEL = ("Experiments", 1)

SHOWN_PROMPTS = 5
SHOWN_CHARACTERS = 200


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(show)


def show(
    experiment: Root = Path("."),
    run: Annotated[int | None, typer.Option(help="Show this run instead, by index.")] = None,
    as_json: Json = False,
) -> None:
    """Show an experiment as planned: settings, networks, models, prompts, seeds and keys."""
    from panic_hpc.cli.console.output import say_json
    from panic_hpc.planning import manifest

    planned = manifest.read(experiment)
    value = _described(planned) if run is None else _run(planned, run)
    if as_json:
        say_json(value)
    elif run is not None:
        _print_fields(value)
    else:
        _print(value)


def _run(manifest: "Manifest", index: int) -> dict[str, Any]:
    from panic_hpc.errors import ManifestError

    if not 0 <= index < manifest.n_runs:
        raise ManifestError(f"There is no run {index}: they are 0 to {manifest.n_runs - 1}")
    run = manifest.run(index)
    # A search, since shards of different networks may differ in size; 100,000 at most.
    shard = next(s for s in manifest.run_shards if s.first_run <= index < s.first_run + s.n_runs)
    return {
        "run": index,
        "key": run.key,
        "models": [model.name for model in manifest.networks[run.network].models],
        "prompt": manifest.prompts[run.prompt].text,
        "group": manifest.prompts[run.prompt].group,
        "seed": run.seed,
        "noise": run.noise,
        "shard": f"runs {shard.index}",
    }


def _described(manifest: "Manifest") -> dict[str, Any]:
    settings = manifest.experiment.model_dump(mode="json", exclude={"prompts", "models"})
    return {
        "key": manifest.key,
        "runs": manifest.n_runs,
        "settings": settings,
        "networks": [
            {
                "key": network.key,
                "models": [model.name for model in network.models],
                "noise": " and ".join(manifest.noises(network)),
                "runs": [network.first_run, network.first_run + network.n_runs],
                "block": network.block,
                "runs_per_shard": network.runs_per_shard,
            }
            for network in manifest.networks
        ],
        "models": [_model(manifest, spec) for spec in manifest.specs],
        "prompts": [{"text": p.text, "group": p.group} for p in manifest.prompts],
        "seeds": [{"value": s.value, "unseeded": s.unseeded} for s in manifest.seeds],
    }


def _model(manifest: "Manifest", spec: Any) -> dict[str, Any]:
    from dataclasses import asdict

    value = asdict(spec) | {"settings": dict(spec.settings)}
    return value | {"seconds": manifest.seconds[spec.name]}


def _print(value: Mapping[str, Any]) -> None:
    from panic_hpc.cli.console.output import say

    _print_fields({"key": value["key"], "runs": value["runs"]} | _flat(value["settings"]))
    for network in value["networks"]:
        first, end = network["runs"]
        say(f"\nnetwork {' → '.join(network['models'])}", "bold")
        fields = {"noise": network["noise"], "runs": f"{first} to {end - 1}", "key": network["key"]}
        _print_fields(fields | {key: network[key] for key in ("block", "runs_per_shard")})
    for model in value["models"]:
        say(f"\nmodel {model['name']}", "bold")
        _print_fields({k: v for k, v in model.items() if k not in ("name", "settings") and v != ""})
        _print_fields({k: v for k, v in model["settings"].items() if v is not None})
    _print_some("prompts", [prompt["text"] for prompt in value["prompts"]])
    _print_some("seeds", [_seed(seed) for seed in value["seeds"]])


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with dotted names, those left out because nobody set them not there."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            inner = {k: v for k, v in _flat(value).items() if v is not None}
            flat |= {f"{key}.{name}": leaf for name, leaf in inner.items()}
        elif value not in (None, "") and key not in ("networks", "seeds"):
            flat[key] = ", ".join(value) if isinstance(value, list) else value
    return flat


def _seed(seed: Mapping[str, Any]) -> str:
    return f"{seed['value']} (unseeded)" if seed["unseeded"] else str(seed["value"])


def _print_fields(fields: Mapping[str, Any]) -> None:
    from panic_hpc.cli.console.output import say
    from panic_hpc.plain_text import one_line

    for key, value in fields.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        say(f"  {key:<22} {one_line(text)}".rstrip())


def _print_some(noun: str, texts: list[str]) -> None:
    from panic_hpc.cli.console.output import say
    from panic_hpc.plain_text import one_line

    say(f"\n{len(texts)} {noun if len(texts) != 1 else noun[:-1]}", "bold")
    for text in texts[:SHOWN_PROMPTS]:
        say(f"  {one_line(text, SHOWN_CHARACTERS)}")
    if len(texts) > SHOWN_PROMPTS:
        say(f"  … and {len(texts) - SHOWN_PROMPTS} more (--json has them all)")
