"""What stages hold of a run's pictures: a few batches, however many steps the run has."""

import subprocess
import sys
import weakref
from pathlib import Path

import measure_memory
import numpy as np
import pytest
from experiments import planned

from panic_hpc.stages.codecs.image import ImageCodec
from panic_hpc.store.results.metrics import METRICS
from panic_hpc.types import EMBEDDINGS, RUNS

STEPS, BATCH = 120, 4


class Alive:
    """How many decoded pictures there are, and how many there were at most."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def born(self, picture: np.ndarray) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        weakref.finalize(picture, self._gone)

    def _gone(self) -> None:
        self.now -= 1


@pytest.mark.parametrize("stage", [EMBEDDINGS, METRICS])
def test_a_stage_holds_a_few_batches_of_pictures_whatever_the_steps_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    experiment = planned(
        tmp_path, max_length=STEPS, noise="per_step", embedding_models=["DummyVision"],
        seeds=[1], stages={METRICS: {"models": ["SSIM"]}},
    )  # fmt: skip
    experiment.work(RUNS)
    alive, decode = Alive(), ImageCodec.decode

    def counted(codec: ImageCodec, content: bytes) -> np.ndarray:
        picture = decode(codec, content)
        alive.born(picture)
        return picture

    monkeypatch.setattr(ImageCodec, "decode", counted)
    experiment.work(stage)
    # The batch that is worked on, the one that is read ahead, and what it shares with the other.
    assert 1 < alive.most <= 4 * BATCH < STEPS / 2


MOST_BYTES = 4000
"""Of an invocation: its row, its record in the journal; a picture of 256 by 256 has 196,608."""


@pytest.mark.long
@pytest.mark.compute
@pytest.mark.timeout(1800)
def test_the_memory_of_no_stage_grows_by_pictures() -> None:
    steps, times, runs = 64, 8, 4
    said = subprocess.run(
        [sys.executable, measure_memory.__file__, "--steps", str(steps), "--times", "1", str(times),
         "--runs", str(runs)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    print(said)
    grown = {
        stage: float(words.split()[0])
        for stage, _, words in (line.partition(": ") for line in said.splitlines())
        if words.endswith("kB an invocation")
    }
    assert grown.keys() == set(measure_memory.STAGES)
    for stage, kilobytes in grown.items():
        assert kilobytes * 1000 < MOST_BYTES, (stage, said)
