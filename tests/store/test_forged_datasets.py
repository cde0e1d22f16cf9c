"""A dataset whose checksums are right and whose tables are wrong is refused, whoever reads it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forge
import numpy as np
import pytest
import synthetic
from synthetic import Experiment

import panic_hpc
from panic_hpc.errors import PanicError
from panic_hpc.report.overview import draw_contact_sheet
from panic_hpc.store.checks.verify import verify_file
from panic_hpc.store.exports.crate import Description, export_crate
from panic_hpc.store.exports.images import export_images
from panic_hpc.store.exports.parquet import export_parquet

ABOUT = Description("Loops", ("Doe, Jane",))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("good")
    experiment = Experiment(
        root / "exp", seeds=(1, 3), embedding_models=(synthetic.SENSE,), has_real_images=True
    )
    path = synthetic.merged(
        root / "good.h5", (experiment, synthetic.write(experiment, [5, 3]))
    ).path
    path.chmod(0o644)
    return path


def readers(path: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """Return every way of reading a whole dataset."""

    def opened(use: Callable[[Any], object]) -> Callable[[], object]:
        def read() -> object:
            with panic_hpc.open(path) as dataset:
                return use(dataset)

        return read

    return {
        "parquet": opened(lambda dataset: export_parquet(dataset, folder / "parquet")),
        "images": opened(lambda dataset: export_images(dataset, folder / "images")),
        "crate": lambda: export_crate([path], folder / "crate", ABOUT),
        "pictures": opened(lambda dataset: draw_contact_sheet(dataset, folder / "sheet.png")),
    }


def require_refused(path: Path, folder: Path) -> None:
    assert verify_file(path).findings
    for name, read in readers(path, folder).items():
        with pytest.raises(PanicError) as refused:
            read()
        assert str(path) in refused.value.message, name
    left = [item for item in folder.rglob("*") if item.is_file() and item.suffix != ".digest"]
    assert left == [path], "nothing is left of an export that was refused"


METADATA: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a list": lambda value: [],
    "no models": lambda value: {k: v for k, v in value.items() if k != "models"},
    "networks are a table": lambda value: value | {"networks": {"a": 1}},
    "a network of nothing": lambda value: value | {"networks": [{"key": "k"}]},
    "a model far away": lambda value: value | {"networks": [
        {**value["networks"][0], "models": [999] * len(value["networks"][0]["models"])}]},
    "an escape in a name": lambda value: value | {"networks": [
        {**value["networks"][0], "names": ["\x1b[2J"] * len(value["networks"][0]["names"])}]},
    "no experiments": lambda value: value | {"experiments": []},
    "a date of nothing": lambda value: value | {"created": "soon"},
    "groups of numbers": lambda value: value | {"prompt_groups": [1]},
    "an embedding model nobody knows": lambda value: value | {"embedding_models": ["X"]},
    "deep": lambda value: value | {"experiments": json.loads("[" * 80 + "]" * 80)},
}  # fmt: skip


@pytest.mark.parametrize("name", METADATA)
def test_metadata_of_another_shape_are_refused_by_everything(
    good: Path, tmp_path: Path, name: str
) -> None:
    path = forge.copied(good, tmp_path / "forged.h5")

    def forged(array: Any) -> Any:
        value = METADATA[name](json.loads(array.tobytes()))
        text = json.dumps(value).encode()
        # Room: what experiments were configured with is long.
        assert len(text) <= len(array) or name
        return np.frombuffer(text[: len(array)].ljust(len(array)), np.uint8).copy()

    forge.overwrite(path, "metadata", forged)
    assert {finding.rule for finding in verify_file(path).findings} == {"S08"}
    require_refused(path, tmp_path)


def first(value: int) -> Callable[[Any], Any]:
    def change(rows: Any) -> Any:
        rows[0] = value
        return rows

    return change


def last(value: int) -> Callable[[Any], Any]:
    def change(rows: Any) -> Any:
        rows[-1] = value
        return rows

    return change


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("runs/offsets", last(2**40)), ("runs/offsets", first(-1)), ("runs/n_steps", first(2**30)),
        ("runs/n_steps", first(-(2**30))), ("runs/prompt", first(10**6)),
        ("runs/network", first(-1)), ("invocations/model", first(9999)),
        ("images/offsets", last(2**40)), ("texts/offsets", first(2**62)),
        ("texts/invocation", last(2**40)), ("prompts/offsets", last(-1)),
        ("prompts/group", first(77)), ("shards/offsets", last(2**40)),
        ("shards/values", first(0xFF)), ("embeddings/Sense/n_rows", first(-5)),
        ("diagrams/Sense/offsets", last(2**40)), ("members/run", first(2**40)),
    ],
)  # fmt: skip
def test_tables_that_contradict_each_other_are_refused_by_everything(
    good: Path, tmp_path: Path, column: str, change: forge.Change
) -> None:
    path = forge.copied(good, tmp_path / "forged.h5")
    forge.overwrite(path, column, change)
    require_refused(path, tmp_path)


def test_a_sound_dataset_is_read_by_everything(good: Path, tmp_path: Path) -> None:
    path = forge.copied(good, tmp_path / "sound.h5")
    for name, read in readers(path, tmp_path).items():
        assert read(), name


@pytest.mark.parametrize(
    "about",
    [
        Description("", ("Doe, Jane",)),
        Description("Loops\x1b[2J", ("Doe, Jane",)),
        Description("Loops", ()),
        Description("Loops", (" , ",)),
        Description("Loops", ("Doe, Jane",), licence="as you like"),
    ],
)
def test_a_crate_says_its_title_its_authors_and_a_known_licence(
    good: Path, tmp_path: Path, about: Description
) -> None:
    with pytest.raises(PanicError):
        export_crate([good], tmp_path / "crate", about)
    assert not (tmp_path / "crate").exists()
