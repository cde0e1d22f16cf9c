"""The stand-ins behave like the real thing in form: read their input, drift, and cycle."""

from typing import Any

import numpy as np
import pytest

from panic_hpc import installed
from panic_hpc.keys import step_seed
from panic_hpc.types import ModelSpec

FAMILY = installed.plugins("families")["arithmetic"]
ENTRIES = {entry.name: entry for entry in FAMILY.entries}


def model(name: str, **settings: object) -> Any:
    entry = ENTRIES[name]
    values = {**entry.defaults, **settings}
    spec = ModelSpec(name, "arithmetic", entry.consumes, entry.produces, "", "", "", 1, values)
    return FAMILY.build(spec)


def walk(seed: int, per_step: bool, n_texts: int) -> list[str]:
    painter, captioner = model("DummyT2I"), model("DummyI2T")
    text, texts = "a red apple", []
    for step in range(n_texts):
        own = step_seed(seed, step) if per_step else seed
        picture = painter.generate([text], [own])[0].value
        text = captioner.generate([picture], [own])[0].value
        texts.append(text)
    return texts


@pytest.mark.parametrize("seed", range(8))
def test_a_run_under_fixed_noise_cycles_soon(seed: int) -> None:
    texts = walk(seed, False, 40)
    assert len(set(texts)) <= 24
    assert texts.index(texts[-1]) < 39


def test_runs_under_noise_per_step_wander_longer() -> None:
    distinct = [
        (len(set(walk(seed, True, 40))), len(set(walk(seed, False, 40)))) for seed in range(8)
    ]
    assert all(wandering > cycling for wandering, cycling in distinct)


def test_trajectories_are_a_centre_a_drift_and_a_little_noise() -> None:
    embedding = model("DummyText")
    runs = [np.concatenate([embedding.embed([t])[0] for t in walk(s, True, 30)]) for s in range(4)]
    spread = [float(np.linalg.norm(run - run.mean(axis=0), axis=1).mean()) for run in runs]
    assert all(0.2 < value < 1.0 for value in spread)
    other = embedding.embed(["there is a fox, and it looks calm; the time is at noon"])[0]
    assert np.linalg.norm(other - runs[0].mean(axis=0)) > 3 * max(spread)


def test_captions_tell_what_the_pictures_show() -> None:
    captioner = model("DummyI2T2")
    first = model("DummyT2I").generate(["a soft boat at noon"], [3])[0]
    assert "boat" in captioner.generate([first.value], [0])[0].value
    white = np.full((40, 30, 3), 255, np.uint8)
    assert captioner.generate([white], [0])[0].value.startswith("there is a")


def test_long_texts_are_cut_counted_and_flagged() -> None:
    painter, embedding = model("DummyT2I", max_words=4), model("DummyText", max_words=4)
    long, short = "one two three four five", "one two three four"
    cut, whole = painter.generate([long], [1])[0], painter.generate([short], [1])[0]
    assert (cut.input_tokens, cut.input_truncated) == (5, True)
    assert (whole.input_tokens, whole.input_truncated) == (4, False)
    assert np.array_equal(cut.value, whole.value)
    assert embedding.embed([long])[1].tolist() == [True]
    captioner = model("DummyI2T", max_words=2)
    caption = captioner.generate([whole.value], [0])[0]
    assert (len(caption.value.split()), caption.output_truncated) == (2, True)
