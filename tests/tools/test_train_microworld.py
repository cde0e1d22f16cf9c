"""The built-in models' training: it begins in every process as it began when it was recorded."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from microworld import (
    autoencoder,
    captioners,
    diffusion,
    pictures,
    scales,
    towers,
    training,
    words,
)

pytestmark = pytest.mark.compute

RECORDED = Path(__file__).with_name("first_losses.json")
SHIPPED = Path(autoencoder.__file__).parents[2] / "panic_hpc" / "models" / "microworld"
VOCABULARY = "b4e20db619a52bf820b4eb800be0f3e1fae6c35fd1969cf7795048901676e459"
N_STEPS = 4


class EnoughError(Exception):
    """The steps that are compared are done."""


def train_autoencoder(out: Path) -> None:
    autoencoder.train(out)


def train_prompts(out: Path) -> None:
    # The lesson is the first thing that any of them trains.
    diffusion.train(diffusion.DIFFUSION, AutoencoderKL(), out, out)


def train_captioner(recipe: captioners.Recipe) -> Callable[[Path], None]:
    return lambda out: captioners.train(recipe, out, out)


def train_towers(out: Path) -> None:
    # The bank, of which the first steps ask for drawn pictures only.
    towers.train(pictures.Bank(AutoencoderKL, out), out, out)


def train_painter(recipe: diffusion.Recipe) -> Callable[[Path], None]:
    def begin(out: Path) -> None:
        # All 80,000 scenes' latents take minutes; those of a few are as telling.
        vae = AutoencoderKL.from_pretrained(SHIPPED / recipe.name / "vae").float()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(diffusion, "teach", lambda *_: None)
            diffusion.train(replace(recipe, scenes=64), vae, out, out)

    return begin


def train_scales(out: Path) -> None:
    scales.train(out, out)


PARTS: dict[str, Callable[[Path], None]] = {
    "autoencoder": train_autoencoder,
    "prompts": train_prompts,
    "MicroVerbose": train_captioner(captioners.VERBOSE),
    "MicroTerse": train_captioner(captioners.TERSE),
    "towers": train_towers,
    "MicroDiffusion": train_painter(diffusion.DIFFUSION),
    "MicroTurbo": train_painter(diffusion.TURBO),
    "MicroScale": train_scales,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    # As the command has it: sums have one order.
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("part", PARTS)
def test_training_begins_as_it_was_recorded(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = first_losses(PARTS[part], tmp_path, monkeypatch)
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if os.environ.get("PANIC_HPC_WRITE_GOLDEN"):
        RECORDED.write_text(json.dumps({**recorded, part: losses}, indent=1) + "\n")
    # Processors round sums in their own ways, and Adam's first steps hand that on.
    assert losses == pytest.approx(recorded[part], rel=1e-3)


def test_every_word_is_a_token_and_has_the_same_number_in_every_process() -> None:
    made = words.clip_tokenizer()
    assert {word: len(made.tokenize(word)) for word in words.WORDS} == dict.fromkeys(words.WORDS, 1)
    numbers = json.dumps(made.get_vocab(), sort_keys=True).encode()
    # Half of all processes numbered "on" before "of", when the trainer of merges chose.
    assert hashlib.sha256(numbers).hexdigest() == VOCABULARY


def first_losses(
    train: Callable[[Path], None], out: Path, monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """Return the losses of a part's first steps: seeds, data and networks show in them."""
    losses: list[float] = []
    step = training.advance

    def watched(
        progress: training.Progress,
        loss_at: Callable[[int], torch.Tensor],
        schedule: training.Schedule,
    ) -> float:
        losses.append(step(progress, loss_at, schedule))
        if len(losses) == N_STEPS:
            raise EnoughError
        return losses[-1]

    monkeypatch.setattr(training, "advance", watched)
    with pytest.raises(EnoughError):
        train(out)
    return losses
