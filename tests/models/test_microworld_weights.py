"""The shipped models: whole, small, loaded by the ordinary loaders, deterministic, and any good.

The floors here are far below the figures of docs/models.md: they catch broken weights, not
small losses. `tools/measure_microworld.py` measures.
"""

import json
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panic_hpc.models.folder_digest import folder_digest

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "panic_hpc" / "models" / "microworld"
TABLE: dict[str, dict[str, Any]] = tomllib.loads((WEIGHTS / "models.toml").read_text())
MOST_MEGABYTES = 26
PAINTERS = [name for name, entry in TABLE.items() if entry["kind"] == "text_to_image"]
CAPTIONERS = [name for name, entry in TABLE.items() if entry["kind"] == "captioner"]

pytestmark = [
    pytest.mark.compute,
]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def painter(name: str) -> Callable[[list[str], list[int]], np.ndarray]:
    from microworld import loading

    entry = TABLE[name]
    return loading.painter(WEIGHTS / entry["folder"], entry["steps"], entry["guidance"])


@cache
def captioner(name: str) -> Callable[[np.ndarray], list[str]]:
    from microworld import loading

    return loading.captioner(WEIGHTS / TABLE[name]["folder"])


def test_everything_together_is_small() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_MEGABYTES * 10**6


def test_there_is_a_model_of_every_kind_and_a_choice_of_those_that_generate() -> None:
    assert len(PAINTERS) >= 2
    assert len(CAPTIONERS) >= 2
    embedded = {entry["consumes"] for entry in TABLE.values() if entry["kind"] == "embedding"}
    assert embedded == {"text", "image"}


@pytest.mark.parametrize("name", TABLE)
def test_a_revision_is_the_digest_of_its_folder(name: str) -> None:
    assert folder_digest(WEIGHTS / TABLE[name]["folder"]) == TABLE[name]["revision"]


@pytest.mark.parametrize("name", TABLE)
def test_no_model_asks_for_code_or_a_hub(name: str) -> None:
    folder = WEIGHTS / TABLE[name]["folder"]
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".txt", ".safetensors"}
    for path in folder.rglob("*.json"):
        text = path.read_text()
        json.loads(text)
        assert "auto_map" not in text
        assert '"/' not in text or path.name == "tokenizer.json", "a path of a machine"


@pytest.mark.parametrize("name", PAINTERS)
def test_a_seed_gives_a_picture_and_another_seed_another(name: str) -> None:
    prompts = ["two red circles on white"] * 2
    first = painter(name)(prompts, [1, 2])
    again = painter(name)(prompts, [1, 2])
    assert first.shape == (2, 32, 32, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("name", PAINTERS)
def test_a_picture_shows_what_the_prompt_says(name: str) -> None:
    from microworld import measure

    assert measure.picture_accuracy(painter(name), measure.fresh(24))["all"] >= 0.65


@pytest.mark.parametrize("name", CAPTIONERS)
def test_a_caption_says_what_the_picture_shows(name: str) -> None:
    from microworld import measure

    from panic_hpc.models.scene.captions import attributes, terse_attributes

    rows = measure.fresh(48)
    says = terse_attributes if name == "MicroTerse" else attributes
    wanted = [says(row) for row in rows]
    share, _ = measure.caption_accuracy(captioner(name), wanted, measure.pictures(rows))
    assert share >= 0.93


def test_captions_are_the_same_again_and_of_two_characters() -> None:
    from microworld import measure

    images = measure.pictures(measure.fresh(8))
    terse, verbose = (captioner(name)(images) for name in CAPTIONERS)
    assert terse == captioner(CAPTIONERS[0])(images)
    assert all(len(a.split()) < len(b.split()) for a, b in zip(terse, verbose, strict=True))


def test_texts_and_pictures_share_one_space() -> None:
    from microworld import loading, measure

    from panic_hpc.models.scene.captions import attributes, verbose

    rows = measure.fresh(48)
    texts = loading.embedder(WEIGHTS / "MicroText")([verbose(row) for row in rows])
    images = loading.embedder(WEIGHTS / "MicroImage")(measure.pictures(rows))
    assert texts.shape == images.shape == (48, 64)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    said = [attributes(row) for row in rows]
    assert measure.rank_correlation(texts, images, said) >= 0.75


def test_a_foreign_prompt_is_painted_too() -> None:
    image = painter(PAINTERS[0])(["Ein Hund, der über die Wiese läuft — «schön» 犬!"], [0])
    assert image.shape == (1, 32, 32, 3)


def test_the_scene_reader_reads_what_was_drawn() -> None:
    from microworld import measure

    from panic_hpc.models.scene import reader
    from panic_hpc.models.scene.drawing import paint

    rows = measure.fresh(200)
    assert reader.right(rows, reader.read(paint(rows)))["all"] == 1.0
