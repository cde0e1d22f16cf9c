"""Models with two towers on tiny checkpoints of the real classes: the numbers are their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints.classes import all_classes

from panic_hpc.errors import ModelError
from panic_hpc.models.base import Judged
from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.models.loading import load
from panic_hpc.types import IMAGE, SCORE, ModelSpec

pytestmark = pytest.mark.compute

TOWERS = ("clip", "siglip2", "siglip2_naflex")
TEXTS = ["a red boat", "", "two squares and a moon", "x"]


@pytest.fixture(scope="module", params=TOWERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return all_classes()[request.param].save(tmp_path_factory.mktemp("towers") / request.param)


def metric(folder: Path, **settings: Any) -> Any:
    digest, path = folder_digest(folder), str(folder)
    settings = {"against": "prompt", "dtype": "float32", **settings}
    spec = ModelSpec("m", "clip", IMAGE, SCORE, "", digest, path, len(TEXTS), settings)
    return load(spec, "cpu")


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.integers(0, 256, (40, 32, 3)).astype(np.uint8) for _ in TEXTS]


def items() -> list[Judged]:
    return [Judged(*pair) for pair in zip(pictures(), TEXTS, strict=True)]


def test_the_logit_is_what_the_model_s_own_forward_gives(folder: Path) -> None:
    import torch
    from PIL import Image
    from transformers import AutoModel, AutoProcessor

    if folder.name == "siglip2_naflex":
        pytest.skip("its processor, given texts too, forgets the size of its patches")
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    loaded = metric(folder)
    images = [Image.fromarray(picture) for picture in pictures()]
    features = processor(
        text=TEXTS,
        images=images,
        return_tensors="pt",
        padding="max_length",
        max_length=loaded.details["text_limit"],
    )
    with torch.inference_mode():
        own = model(**features).logits_per_image.diagonal().tolist()
    found = [score.values[1] for score in loaded.score(items())]
    assert found == pytest.approx(own, rel=1e-5, abs=1e-5)
    cosines = [score.values[0] for score in loaded.score(items())]
    assert all(-1 <= cosine <= 1 for cosine in cosines)
    assert len(set(cosines)) == len(TEXTS)


def test_neighbours_do_not_matter(folder: Path) -> None:
    loaded, whole = metric(folder), items()
    scores = loaded.score(whole)
    for slot, item in enumerate(whole):
        assert loaded.score([item] * len(whole))[slot] == scores[slot]


def test_a_text_that_is_cut_is_flagged(folder: Path) -> None:
    long = " ".join(["boat"] * 600)
    scores = metric(folder).score([Judged(pictures()[0], text) for text in (*TEXTS[:3], long)])
    assert [score.truncated for score in scores] == [False, False, False, True]


def test_a_model_of_one_tower_is_refused(tmp_path: Path) -> None:
    folder = all_classes()["vit_pooled"].save(tmp_path / "vit")
    with pytest.raises(ModelError):
        metric(folder)
