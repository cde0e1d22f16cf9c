"""One training loop for every model: seeded by step, resumable, logged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

AVERAGE_EVERY = 4


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; ``average`` is the last decay of the weights' average."""

    steps: int
    rate: float
    warmup: int = 100
    average: float = 0.999
    save_seconds: float = 120.0
    weight_decay: float = 0.01


def rate_at(step: int, schedule: Schedule) -> float:
    """Return the learning rate: a linear warm-up, then half a cosine to a hundredth."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    part = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, part))))


class Average:
    """An exponential average of a module's floating-point state, warmed up from short to long."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the module's present weights."""
        decay = min(self.decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


@dataclass
class Progress:
    """What a checkpoint holds."""

    module: nn.Module
    optimiser: torch.optim.Optimizer
    average: Average
    step: int = 0

    def save(self, path: Path) -> None:
        """Write the checkpoint beside the old one and rename."""
        state = {
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state,
            "step": self.step,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def restore(self, path: Path) -> None:
        """Take up a checkpoint where there is one."""
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.state = state["average"]
        self.step = state["step"]


def fit(
    module: nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    schedule: Schedule,
    checkpoint: Path,
    on_save: Callable[[dict[str, torch.Tensor]], None] = lambda average: None,
) -> nn.Module:
    """Train a module from its checkpoint on, and leave the averaged weights in it.

    ``loss_at(step)`` must draw everything it needs from the step's number, so that a resumed run
    sees the batches that an uninterrupted one would have seen.
    """
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=schedule.rate, weight_decay=schedule.weight_decay
    )
    progress = Progress(module, optimiser, Average(module, schedule.average))
    progress.restore(checkpoint)
    saved = started = time.monotonic()
    first, total = progress.step, 0.0
    module.train()
    while progress.step < schedule.steps:
        total += advance(progress, loss_at, schedule)
        if progress.step % 100 == 0:
            speed = (progress.step - first) / (time.monotonic() - started)
            done = f"{checkpoint.stem} {progress.step}/{schedule.steps}"
            print(f"{done} loss {total / 100:.4f} {speed:.2f} steps/s", flush=True)
            total = 0.0
        if time.monotonic() - saved > schedule.save_seconds or progress.step == schedule.steps:
            progress.save(checkpoint)
            on_save(progress.average.state)
            saved = time.monotonic()
    module.load_state_dict(progress.average.state)
    return module.eval()


def advance(
    progress: Progress, loss_at: Callable[[int], torch.Tensor], schedule: Schedule
) -> float:
    """Take one step and return its loss."""
    for group in progress.optimiser.param_groups:
        group["lr"] = rate_at(progress.step, schedule)
    loss = loss_at(progress.step)
    progress.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(progress.module.parameters(), 1.0)
    progress.optimiser.step()
    progress.step += 1
    if progress.step % AVERAGE_EVERY == 0:
        progress.average.update(progress.module, progress.step)
    return float(loss.detach())
