import gc
import weakref
from dataclasses import replace

import pytest

from panic_hpc import installed
from panic_hpc.errors import PanicError
from panic_hpc.models import loading
from panic_hpc.types import ModelSpec


def spec(name: str, batch_size: int = 4) -> ModelSpec:
    entries = installed.plugins("families")["arithmetic"].entries
    entry = next(entry for entry in entries if entry.name == name)
    origin = ("", "", "")
    kinds = (entry.consumes, entry.produces)
    return ModelSpec(name, "arithmetic", *kinds, *origin, batch_size, dict(entry.defaults))


def test_the_next_shard_finds_its_models_loaded_and_others_gone() -> None:
    first, second = loading.load_all([spec("DummyT2I"), spec("DummyI2T")], "cpu")
    gone = weakref.ref(second)
    kept, third = loading.load_all(
        [replace(spec("DummyT2I"), name="other"), spec("DummyI2T2")], "cpu"
    )
    assert kept is first
    assert third is not second
    del second
    gc.collect()
    assert gone() is None


def test_a_model_that_is_twice_in_a_network_is_loaded_once() -> None:
    one, two = loading.load_all([spec("DummyT2I"), spec("DummyT2I")], "cpu")
    assert one is two
    [other] = loading.load_all([spec("DummyT2I", batch_size=2)], "cpu")
    assert other is not one


def test_an_unknown_family_is_named_with_the_nearest() -> None:
    with pytest.raises(PanicError, match=r"no model family 'diffuser'.*'diffusers'"):
        loading.load(replace(spec("DummyT2I"), family="diffuser"), "cpu")
