"""What models need installed is told when they are planned, by what their checkpoints say."""

import json
from pathlib import Path

import pytest

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.models import needs
from panic_hpc.planning.availability import missing_libraries
from panic_hpc.planning.plan import make_plan


def test_a_library_that_is_not_here_is_named_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"made_up": ("json", "no_such_library")}
    monkeypatch.setattr(needs, "BY_MODEL_TYPE", kinds)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "wrapper", "vision_config": {"model_type": "made_up"}})
    )
    (tmp_path / "model.safetensors").write_bytes(b"")
    experiment = Experiment.model_validate(
        {
            "networks": [["DummyT2I", "Mine"]],
            "prompts": ["p"],
            "embedding_models": ["DummyText"],
            "max_length": 2,
            "models": {"Mine": {"family": "transformers", "path": str(tmp_path)}},
        }
    )
    plan = make_plan(experiment, catalogue.load())
    assert missing_libraries(plan, tmp_path / "cache") == {"Mine": ["no_such_library"]}
