"""What checks found, kept beside the cache of models, by model and by numerics class of machine.

<cache>/panic_hpc/checks/<key of the model's identity>/<key of the class>.json
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.disk.files import read_json, replace_file, to_json
from panic_hpc.errors import ModelError, PanicError
from panic_hpc.keys import content_key
from panic_hpc.models.checks.trial import Checked, Depth
from panic_hpc.types import ModelSpec

FORMAT = "panic-hpc check"


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One check as it was kept: `problem` is "" where nothing failed, `where` names the machine."""

    depth: str
    date: str
    where: str
    problem: str


def keep(
    spec: ModelSpec,
    depth: Depth,
    numerics: Mapping[str, Any],
    outcomes: Sequence[Checked],
    cache: Path,
) -> None:
    """Write down what a check found; an older one on a machine of that class is replaced."""
    document = {
        "format": FORMAT,
        "model": spec.name,
        "identity": spec.identity(),
        "numerics": dict(numerics),
        "depth": depth,
        "date": clock.utc().astimezone().date().isoformat(),
        "outcomes": [asdict(one) for one in outcomes],
    }
    replace_file(_folder(spec, cache) / f"{content_key(dict(numerics))}.json", to_json(document))


def records_of(spec: ModelSpec, cache: Path) -> list[CheckRecord]:
    """Return what was found out about a model, on whatever machines; damaged records are none."""
    paths = sorted(_folder(spec, cache).glob("*.json"))
    return [record for path in paths if (record := _record(path)) is not None]


def failures(specs: Iterable[ModelSpec], cache: Path) -> list[str]:
    """Return a line for each model that failed its checks, on all machines that it was tried on."""
    lines = []
    for spec in specs:
        records = records_of(spec, cache)
        if records and all(record.problem for record in records):
            first = records[0]
            lines.append(f"{spec.name}: {first.problem} ({first.where}, {first.date})")
    return lines


def unchecked(specs: Iterable[ModelSpec], cache: Path) -> list[str]:
    """Return the names of models with weights that are not ours and that nobody has checked."""
    return [
        spec.name
        for spec in specs
        if (spec.repository or spec.path) and not records_of(spec, cache)
    ]


def require_checked(specs: Iterable[ModelSpec], numerics: Mapping[str, Any], cache: Path) -> None:
    """Raise ModelError for a model whose bits were not checked, or failed, on such a machine."""
    for spec in specs:
        record = _record(_folder(spec, cache) / f"{content_key(dict(numerics))}.json")
        if record is None or record.depth != "bits" or record.problem:
            reason = record.problem if record else ""
            raise ModelError(
                f"{spec.name} is compiled, and its bits are not known to repeat on this kind of "
                f"machine{': ' if reason else ''}{reason}",
                hint="On such a machine: panic-hpc models check EXP; or leave compile out",
            )


def _folder(spec: ModelSpec, cache: Path) -> Path:
    return cache / "panic_hpc" / "checks" / content_key(spec.identity())


def _record(path: Path) -> CheckRecord | None:
    try:
        document = read_json(path)
        device = document["numerics"]["device"]
        where = device["name"] if isinstance(device, dict) else document["numerics"]["cpu"]
        failed = [one for one in document["outcomes"] if one["passed"] is False]
        problem = f"{failed[0]['question']}: {failed[0]['answer']}" if failed else ""
        return CheckRecord(document["depth"], document["date"], str(where), problem)
    except (PanicError, KeyError, TypeError, AttributeError):
        return None
