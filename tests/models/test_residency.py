"""Models that do not fit together are swapped once a step, and the bits stay the same.

The family below keeps the books of a device of its own with room for one model's weights.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from experiments import Planned, planned
from plugins import plugin_file

from panic_hpc import installed
from panic_hpc.errors import ModelError
from panic_hpc.models import loading

CRAMPED_FAMILY = """
import weakref

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from panic_hpc.models.base import Output
from panic_hpc.types import IMAGE, TEXT, ModelEntry

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4.00 GiB"
room = [2]
# Weak, so that a model that is dropped frees its place.
on_it, moves, calls, loads = weakref.WeakSet(), [], [], []


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_size: int = 2
    consumes: str
    scratch: int = 0
    variant: int = 1


class Model:
    def __init__(self, spec):
        self.spec = spec
        self.scratch = spec.settings["scratch"]

    def load(self, device):
        self.move(device)
        loads.append(self.spec.name)

    def move(self, device):
        moves.append((self.spec.name, device))
        if device == "cpu":
            on_it.discard(self)
        elif len(on_it) >= room[0]:
            raise torch.OutOfMemoryError(FULL)
        else:
            on_it.add(self)

    def generate(self, inputs, seeds):
        assert self in on_it
        calls.append(self.spec.name)
        if len(on_it) + self.scratch > room[0]:
            raise torch.OutOfMemoryError(FULL)
        return [self.one(*pair) for pair in zip(inputs, seeds)]

    def one(self, value, seed):
        if self.spec.consumes == TEXT:
            return Output(np.full((8, 8, 3), (7 * len(value) + seed) % 251, np.uint8))
        return Output("a" * int(1 + value[0, 0, 0] % 97))


class Family:
    name = "cramped"
    settings = Settings
    entries = (
        ModelEntry("CrampedT2I", TEXT, IMAGE, defaults={"consumes": TEXT}),
        ModelEntry("CrampedI2T", IMAGE, TEXT, defaults={"consumes": IMAGE}),
        ModelEntry("CrampedT2I2", TEXT, IMAGE, defaults={"consumes": TEXT, "variant": 2}),
        ModelEntry("CrampedI2T2", IMAGE, TEXT, defaults={"consumes": IMAGE, "variant": 2}),
    )

    def build(self, spec):
        return Model(spec)

    def modalities(self, settings):
        return (TEXT, IMAGE) if settings.consumes == TEXT else (IMAGE, TEXT)


PLUGINS = (Family(),)
"""
CHANGES: dict[str, Any] = {
    "networks": [["CrampedT2I", "CrampedI2T"]],
    "embedding_models": ["DummyText"],
    "noise": "per_step",
    "max_length": 12,
}


@pytest.fixture
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of the family, found as a plugin."""
    loading.load_all([], "cpu")
    folder = tmp_path_factory.mktemp("plugins")
    with plugin_file("panic_hpc.models.families", folder, "cramped", CRAMPED_FAMILY):
        yield _module()
    loading.load_all([], "cpu")


def _module() -> Any:
    import sys

    installed.plugins("families")
    return sys.modules["panic_hpc.models.families.cramped"]


def work(root: Path, **changes: Any) -> Planned:
    experiment = planned(root, **{**CHANGES, **changes})
    experiment.work("runs", device="fake")
    loading.load_all([], "fake")
    return experiment


@pytest.mark.parametrize(("room", "scratch"), [(1, 0), (2, 1)], ids=["weights", "a call"])
def test_models_that_do_not_fit_are_swapped_once_a_step(
    tmp_path: Path, cramped: Any, room: int, scratch: int
) -> None:
    models = {"CrampedT2I": {"scratch": scratch}, "CrampedI2T": {"scratch": scratch}}
    cramped.room[0] = 3
    whole = work(tmp_path / "whole", models=models)
    assert [move for move in cramped.moves if move[1] == "cpu"] == []
    cramped.room[0] = room
    cramped.moves.clear()
    cramped.calls.clear()
    swapped = work(tmp_path / "swapped", models=models)
    assert swapped.digests("runs") == whole.digests("runs")
    fetched = [name for name, device in cramped.moves if device == "fake"]
    # Two loads, one more for what did not fit at first; then one fetch a step, of 5 batches each.
    assert len(fetched) <= 12 + 3
    assert len(cramped.calls) >= 12 * 5


def test_a_model_that_does_not_fit_alone_says_so(tmp_path: Path, cramped: Any) -> None:
    cramped.room[0] = 0
    with pytest.raises(ModelError, match="CUDA out of memory"):
        work(tmp_path)


def test_what_another_network_needs_later_waits_where_it_fits(
    tmp_path: Path, cramped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cramped.room[0] = 3
    cramped.loads.clear()
    monkeypatch.setattr("panic_hpc.models.device.residency.allocated_bytes", _growing())
    networks = [["CrampedT2I", "CrampedI2T"], ["CrampedT2I", "CrampedI2T2"]]
    work(tmp_path, networks=[*networks, ["CrampedT2I2", "CrampedI2T"]])
    assert sorted(cramped.loads) == ["CrampedI2T", "CrampedI2T2", "CrampedT2I", "CrampedT2I2"]


def _growing() -> Any:
    sizes = iter(range(1, 1000))
    return lambda: next(sizes)
