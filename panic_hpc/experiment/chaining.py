"""Whether an experiment's models fit together: round each network, and for embedding."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from panic_hpc import installed
from panic_hpc.experiment.config import Experiment, NetworkConfig
from panic_hpc.experiment.entries import UNSEEDED
from panic_hpc.experiment.starting import picture_problems
from panic_hpc.keys import content_key
from panic_hpc.models.base import is_repeatable
from panic_hpc.types import EMBEDDING, IMAGE, SCORE, TEXT, ModelSpec

Specs = Mapping[str, ModelSpec]

_ELSEWHERE = {
    EMBEDDING: "an embedding model; its place is embedding_models",
    SCORE: "a metric, which makes nothing that a model could read",
}


def chaining_problems(experiment: Experiment, specs: Specs) -> list[str]:
    """Return a line for everything that does not fit.

    What a draft leaves open is passed over: models without a spec, networks without models.
    """
    problems = _repeated_networks(experiment, specs)
    for index, network in enumerate(experiment.networks):
        if network.models:
            problems += _network_problems(index, network, specs, experiment)
    # What runs make is known where every network is: else it would be told what follows from what
    # is told already.
    made = _modalities_made(experiment, specs) if _is_all_known(experiment, specs) else None
    made = None if problems else made
    for index, name in enumerate(experiment.embedding_models):
        if name in specs:
            problems += _embedding_problems(index, specs[name], experiment, made)
    return problems


def _repeated_networks(experiment: Experiment, specs: Specs) -> list[str]:
    """Return a line for networks that would make the same runs.

    A run's key knows nothing of a model's name or a network's place, and a dataset holds each key
    once: the second network's runs would be computed and then be missing.
    """
    places = defaultdict(list)
    for index, network in enumerate(experiment.networks):
        places[network_identity(network, experiment, specs)].append(index)
    return [
        f"{' and '.join(f'networks[{index}]' for index in same)}: the same runs twice, since "
        f"models and settings are equal, and {_why_alike(noise)}; remove one"
        for (models, noise), same in places.items()
        if len(same) > 1 and models
    ]


def network_identity(
    network: NetworkConfig, experiment: Experiment, specs: Specs
) -> tuple[tuple[str, ...], str]:
    """Return what decides a network's runs within its experiment: its models, and its noise."""
    models = tuple(
        content_key(specs[name].identity()) if name in specs else name for name in network.models
    )
    return models, _noise_that_tells_apart(network, experiment)


def _noise_that_tells_apart(network: NetworkConfig, experiment: Experiment) -> str:
    """Return a network's noise; "" where runs have no seed, and per-step noise in any network."""
    is_seeded = experiment.seeds is not None and UNSEEDED not in experiment.seeds
    return (network.noise or experiment.noise) if is_seeded else ""


def _why_alike(noise: str) -> str:
    return f"noise is {noise}" if noise else "runs without a seed have per_step noise in each"


def _network_problems(
    index: int, network: NetworkConfig, specs: Specs, experiment: Experiment
) -> list[str]:
    place = f"networks[{index}]"
    models = [specs.get(name) for name in network.models]
    # Told alone: the links round it would be wrong too, and only confuse.
    strangers = [
        f"{place}[{position}] = {model.name!r}: {_ELSEWHERE[model.produces]}"
        for position, model in enumerate(models)
        if model and model.produces in _ELSEWHERE
    ]
    is_open = experiment.max_length <= len(models)
    reached = models[: experiment.max_length]
    return strangers or [
        *picture_problems(place, reached, experiment.prompts),
        *_unkept_problems(place, reached, experiment),
        *_link_problems(place, models, is_open),
    ]


def _unkept_problems(
    place: str, models: Sequence[ModelSpec | None], experiment: Experiment
) -> list[str]:
    """Return a line for a model whose outputs cannot be made again, where not all are kept."""
    every = experiment.images.keep_every
    families = installed.plugins("families")
    passing = [m.name for m in models if m and not is_repeatable(families, m)]
    if every == 1 or not passing:
        return []
    what = f"{passing[0]} of {place} may answer otherwise when asked again, so keep every image"
    return [f"images.keep_every = {every}: {what}"]


def _link_problems(place: str, models: list[ModelSpec | None], is_open: bool) -> list[str]:
    # A chain that ends before its first model comes again has no closing link.
    following = [*models[1:], None if is_open else models[0]]
    return [
        f"{place}: {a.name} gives {a.produces}, but {_next(b, position + 1 == len(models))}"
        for position, (a, b) in enumerate(zip(models, following, strict=True))
        if a and b and a.produces != b.consumes
    ]


def _next(model: ModelSpec, around: bool) -> str:
    where = "the first model of the cycle" if around else "the next model"
    return f"{where}, {model.name}, takes {model.consumes}"


def _embedding_problems(
    index: int, model: ModelSpec, experiment: Experiment, made: set[str] | None
) -> list[str]:
    place = f"embedding_models[{index}] = {model.name!r}"
    if model.produces != EMBEDDING:
        return [f"{place}: turns {model.consumes} into {model.produces}; it embeds nothing"]
    if made is not None and model.consumes not in made:
        found = ", ".join(sorted(made))
        return [f"{place}: nothing to embed; it takes {model.consumes}, the runs make {found}"]
    if model.consumes == IMAGE and experiment.images.keep_every != 1:
        every = experiment.images.keep_every
        return [f"images.keep_every = {every}: {model.name} embeds every image, so keep every one"]
    return []


def _is_all_known(experiment: Experiment, specs: Specs) -> bool:
    names = [network.models for network in experiment.networks]
    return bool(names) and all(models and all(name in specs for name in models) for models in names)


def _modalities_made(experiment: Experiment, specs: Specs) -> set[str]:
    """Return what prompts and invocations give; a short run does not reach its network's end."""
    made = {
        specs[name].produces
        for network in experiment.networks
        for name in network.models[: experiment.max_length]
    }
    # The prompt is embedded too, as step -1: its text, or the picture that a run starts from.
    begun = {specs[network.models[0]].consumes for network in experiment.networks}
    texts = {TEXT} if any(prompt.text for prompt in experiment.prompts) else set()
    return made | (begun & {IMAGE}) | texts
