"""A dataset of two networks with pictures, on which people vote."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic

from panic_hpc.store.dataset.dataset import Dataset, open_dataset
from panic_hpc.types import Prompt

BREAKS = "window.broken = 1"
PROMPTS = (
    f"<script>{BREAKS}</script>",
    "evil \u202egnp.exe",
    *(f"prompt {k}" for k in range(6)),
)


@pytest.fixture(scope="session")
def voted_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voted")
    experiment = synthetic.Experiment(
        root / "shards",
        prompts=tuple(Prompt(text) for text in PROMPTS),
        seeds=(1, 2),
        has_real_images=True,
    )
    shards = synthetic.write(experiment, [len(experiment.runs)])
    synthetic.merged(root / "D.h5", (experiment, shards))
    return root / "D.h5"


@pytest.fixture
def dataset(voted_path: Path) -> Iterator[Dataset]:
    with open_dataset(voted_path) as opened:
        yield opened
