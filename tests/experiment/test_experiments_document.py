"""docs/experiments.md says what is true: its examples plan, its tables name every key."""

import re
from pathlib import Path

import pytest

from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment, Homology, Images
from panic_hpc.planning.plan import plan_file

DOCUMENT = Path(__file__).parents[2] / "docs" / "experiments.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
FIRST, SECOND, SWEEP = EXAMPLES


def test_the_first_example_plans(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(FIRST)
    plan = plan_file(tmp_path / "e.toml", catalogue.load())
    assert (plan.n_runs, plan.prompts[1].group) == (16, "boat")
    assert plan.networks[0].models[1].batch_size == 8


def test_the_second_example_plans(tmp_path: Path) -> None:
    (tmp_path / "weights" / "mine").mkdir(parents=True)
    (tmp_path / "weights" / "mine" / "model.safetensors").write_bytes(b"weights")
    head = 'networks = [["Turbo", "Mine"]]\nprompts = ["p"]\nembedding_models = ["DummyText"]\n'
    (tmp_path / "e.toml").write_text(f"{head}max_length = 4\n{SECOND}")
    plan = plan_file(tmp_path / "e.toml", catalogue.load())
    assert plan.seconds["Turbo"] == 0.2
    assert plan.networks[0].models[1].revision.startswith("sha256:")


def test_the_sweep_has_as_many_cells_as_it_says(tmp_path: Path) -> None:
    head = 'networks = [["Soft"]]\nprompts = ["p"]\nmax_length = 1\n'
    (tmp_path / "e.toml").write_text(f"{head}{SWEEP}")
    plan = plan_file(tmp_path / "e.toml", catalogue.load())
    names = [network.models[0].name for network in plan.networks]
    assert len(names) == 6
    assert names[:2] == ["Soft.guidance-1.0.steps-2", "Soft.guidance-1.0.steps-4"]


@pytest.mark.parametrize(
    "key",
    [key for table in (Experiment, Images, Homology) for key in table.model_fields],
)
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"`\[?{key}(\.NAME)?\]?`", DOCUMENT.read_text(encoding="utf-8"))
