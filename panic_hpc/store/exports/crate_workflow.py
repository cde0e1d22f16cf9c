"""A dataset as the result of a workflow run: Workflow Run RO-Crate 0.5, one action a stage beside.

The workflow is the chain of stages, described in a file of its own; what went in are experiments,
each as an experiment file that can be planned again; what came out is the dataset.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panic_hpc import clock
from panic_hpc.errors import PanicError
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.store.dataset.frames import network_names
from panic_hpc.store.dataset.metadata import read_shard_texts
from panic_hpc.store.exports import crate_texts
from panic_hpc.store.exports.crate_inputs import folder_of, pictured

if TYPE_CHECKING:
    from panic_hpc.store.exports.crate import Description

EXPERIMENT, WORKFLOW = "experiments.json", "workflow.json"
# The profiles of 0.5 stand on RO-Crate 1.1.
RO_CRATE = "1.1"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PICTURES = "The pictures that prompts of an experiment have, as its file names them"
_FORMATS = {
    ".json": "application/json",
    ".md": "text/markdown",
    ".cff": "text/yaml",
    "": "text/plain",
}
_ABOUT = {
    EXPERIMENT: "What was run: the settings, prompts and seeds of each experiment",
    WORKFLOW: "How it was run: the program, its stages in order, and the networks of models",
    "README.md": "What the dataset is, and how it is read",
    "LICENSE": "Under which licence it is",
    "CITATION.cff": "How it is cited",
    "datacite.json": "A record for a registry of DOIs",
}


@dataclass(frozen=True, slots=True)
class StageTimes:
    """When a stage's shards were made: seconds since 1970, and how many there are."""

    stage: str
    started: float
    ended: float
    n_shards: int


def experiments(dataset: Dataset) -> dict[str, Any]:
    """Return the experiments, each with what an experiment file has, and its key.

    Pictures of prompts are in folders beside it.
    """
    prompts, folders, found = _prompts(dataset), pictured(dataset), []
    for number, one in enumerate(dataset.metadata["experiments"]):
        config = {key: value for key, value in one["config"].items() if value is not None}
        is_pictured = number in folders
        own = {**config, **({"inputs": folder_of(number)} if is_pictured else {})}
        own |= {} if is_pictured else {"prompts": prompts.get(number, [])}
        found.append({"key": one["key"], "experiment": own})
    return {"experiments": found}


def _prompts(dataset: Dataset) -> dict[int, list[dict[str, str]]]:
    """Return each experiment's prompts in order, of the runs that were taken from it."""
    file, groups = dataset.file, dataset.metadata["prompt_groups"]
    texts, group_of = dataset.prompt_texts(), file.array("prompts/group").tolist()
    places = zip(
        file.array("runs/experiment").tolist(), file.array("runs/prompt").tolist(), strict=True
    )
    found: dict[int, list[dict[str, str]]] = {}
    for experiment, prompt in dict.fromkeys(places):
        group = groups[group_of[prompt]] if group_of[prompt] >= 0 else ""
        found.setdefault(experiment, []).append({"text": texts[prompt], "group": group})
    return found


def workflow(dataset: Dataset) -> dict[str, Any]:
    """Return the workflow: its program, its stages in order, the networks and embedding models."""
    stages = [stage.decode() for stage in dataset.file.array("shards/stage").tolist()]
    return {
        "program": str(dataset.metadata["software"]),
        "stages": [*dict.fromkeys(stages), "merge"],
        "networks": network_names(dataset),
        "embedding_models": list(dataset.embedding_models),
    }


def stage_times(dataset: Dataset) -> Iterator[StageTimes]:
    """Yield when each stage was worked on, as far as its shards say."""
    stages = [stage.decode() for stage in dataset.file.array("shards/stage").tolist()]
    texts = read_shard_texts(dataset.file)
    for stage in dict.fromkeys(stages):
        own = [
            text["provenance"] for text, name in zip(texts, stages, strict=True) if name == stage
        ]
        started = [one["started"] for one in own if _is_time(one.get("started"))]
        ended = [one["ended"] for one in own if _is_time(one.get("ended"))]
        if started and ended:
            yield StageTimes(stage, min(started), max(ended), len(own))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < 2**40


def ro_crate(
    dataset: Dataset, about: "Description", data: Sequence[Path], texts: Sequence[str]
) -> Any:
    """Return the metadata of the crate that holds `data` and, beside it, the files named `texts`.

    PanicError where rocrate is not installed.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise PanicError(
            "A crate needs rocrate", hint="pip install 'panic-hpc[publish]'"
        ) from error
    crate = ROCrate(version=RO_CRATE)
    folder = data[0].parent
    people = _describe_root(crate, dataset, about)
    files = [_add_data(crate, path, dataset) for path in data]
    for number in pictured(dataset):
        crate.add_dataset(
            folder / folder_of(number), folder_of(number), properties={"name": _PICTURES}
        )
    others = {name: _add_text(crate, folder / name) for name in texts if name != WORKFLOW}
    others["README.md"]["about"] = {"@id": crate.root_dataset.id}
    main = _add_workflow(crate, dataset, folder / WORKFLOW, about, people)
    _add_parameters(crate, main, others[EXPERIMENT], files)
    _add_actions(crate, dataset, main, others[EXPERIMENT], files, people)
    return crate.metadata.generate()


def _entity(crate: Any, place: str, kind: str, /, **properties: Any) -> Any:
    from rocrate.model import ContextEntity

    return crate.add(ContextEntity(crate, place, properties={"@type": kind, **properties}))


def _pointing(entities: Sequence[Any]) -> Any:
    """Return what points to entities; RO-Crate has no lists of one."""
    places = [{"@id": entity.id} for entity in entities]
    return places if len(places) > 1 else places[0]


def _describe_root(crate: Any, dataset: Dataset, about: "Description") -> list[Any]:
    """Describe the crate as a whole; return its authors."""
    from rocrate.model import Person

    crate.name = about.title
    crate.description = crate_texts.summary(dataset, about)
    root = crate.root_dataset
    root["conformsTo"] = [
        _entity(crate, profile, "CreativeWork", name=name, version=version)
        for profile, (name, version) in _PROFILES.items()
    ]
    people = [crate.add(Person(crate, *_person(author))) for author in about.authors]
    root["author"] = _pointing(people)
    root["license"] = _entity(
        crate, crate_texts.licence_url(about.licence), "CreativeWork",
        name=about.licence, description=about.licence,
    )  # fmt: skip
    if about.publisher:
        crate.publisher = _entity(crate, "#publisher", "Organization", name=about.publisher)
    return people


def _person(author: str) -> tuple[str, Mapping[str, str]]:
    name, _, rest = author.partition("<")
    orcid = rest.rstrip("> ").strip()
    place = f"https://orcid.org/{orcid}" if orcid else f"#{name.strip().replace(' ', '-')}"
    return place, {"name": name.strip()}


def _add_data(crate: Any, path: Path, dataset: Dataset) -> Any:
    return crate.add_file(
        path,
        path.name,
        properties={
            "name": path.name,
            "description": f"Dataset in HDF5, content key {dataset.content_key}",
            "encodingFormat": "application/x-hdf5",
            "contentSize": str(path.stat().st_size),
        },
    )


def _add_text(crate: Any, path: Path) -> Any:
    return crate.add_file(path, path.name, properties=_text_properties(path))


def _text_properties(path: Path) -> dict[str, str]:
    return {
        "name": path.name,
        "description": _ABOUT[path.name],
        "encodingFormat": _FORMATS[path.suffix],
        "contentSize": str(path.stat().st_size),
    }


def _add_workflow(
    crate: Any, dataset: Dataset, path: Path, about: "Description", people: Sequence[Any]
) -> Any:
    from rocrate.model.computerlanguage import ComputerLanguage

    language = ComputerLanguage(
        crate,
        "#panic-hpc-workflow",
        properties={"name": "panic-hpc", "description": "Stages of panic-hpc, described as JSON"},
    )
    crate.add(language)
    standard = _entity(crate, _WORKFLOW, "CreativeWork", name="ComputationalWorkflow profile")
    properties = {
        **_text_properties(path),
        "name": f"Recursive loops of generative models: {about.title}",
        "version": str(dataset.metadata["software"]),
        "conformsTo": {"@id": standard.id},
        "creator": _pointing(people),
        "license": {"@id": crate.root_dataset["license"].id},
        "dateCreated": str(dataset.metadata["created"]),
    }
    return crate.add_workflow(path, path.name, properties=properties, main=True, lang=language)


def _add_parameters(crate: Any, main: Any, source: Any, files: Sequence[Any]) -> None:
    """Say what the workflow takes and gives, and which files these were."""
    standard = _entity(crate, _PARAMETER, "CreativeWork", name="FormalParameter profile")
    for name, way, values in (("experiments", "input", [source]), ("dataset", "output", files)):
        parameter = _entity(
            crate, f"#{way}-{name}", "FormalParameter", name=name, additionalType="File",
            description=f"The workflow's {way}", conformsTo={"@id": standard.id},
            encodingFormat=values[0]["encodingFormat"], valueRequired=True,
            workExample=_pointing(values),
        )  # fmt: skip
        main[way] = {"@id": parameter.id}
        for one in values:
            one["exampleOfWork"] = {"@id": parameter.id}


def _add_actions(
    crate: Any,
    dataset: Dataset,
    main: Any,
    source: Any,
    files: Sequence[Any],
    people: Sequence[Any],
) -> None:
    """Say when the workflow and each of its stages ran, as far as shards tell."""
    software = _entity(
        crate, "#panic-hpc", "SoftwareApplication", name="panic-hpc",
        softwareVersion=str(dataset.metadata["software"]),
        description="Runs networks of generative models as batch jobs",
    )  # fmt: skip
    stages = list(stage_times(dataset))
    whole = (min(s.started for s in stages), max(s.ended for s in stages)) if stages else None
    common = {
        "agent": _pointing(people),
        "object": _pointing([source]),
        "result": _pointing(files),
    }
    actions = [
        _entity(
            crate, "#run", "CreateAction", name="The run of the whole workflow",
            description=f"{dataset.n_runs} runs, from their experiments to the dataset",
            instrument={"@id": main.id},
            actionStatus="http://schema.org/CompletedActionStatus", **common, **_span(whole),
        )
    ]  # fmt: skip
    actions += [
        _entity(
            crate, f"#{stage.stage}", "CreateAction",
            name=f"Stage {stage.stage}: {stage.n_shards} shards",
            description=f"The work of stage {stage.stage}", instrument={"@id": software.id},
            **common, **_span((stage.started, stage.ended)),
        )
        for stage in stages
    ]  # fmt: skip
    crate.root_dataset["mentions"] = _pointing(actions)


def _span(times: tuple[float, float] | None) -> dict[str, str]:
    return {"startTime": _moment(times[0]), "endTime": _moment(times[1])} if times else {}


def _moment(seconds: float) -> str:
    return clock.utc(seconds).isoformat(timespec="seconds")
