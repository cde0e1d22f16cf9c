"""Every experiment file that upstream ever kept, with the verdict that is due to it.

`upstream_configs.json` has the 62 versions of ANUcybernetics/panic-tda (MIT), under
`<folder>-<name>__<date>_<commit>`: all that decides a plan, but the first two prompts only.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from panic_hpc.errors import ConfigError
from panic_hpc.experiment import catalogue
from panic_hpc.planning.plan import Plan, plan_file

TABLES: dict[str, Any] = json.loads(Path(__file__).with_name("upstream_configs.json").read_text())
CATALOGUE = catalogue.load()
FIRST = "networks[1][0] = 'DummyI2T': takes image, but a prompt is text"
EMBEDDING = "'Nomic': an embedding model; its place is embedding_models"
REFUSED: dict[str, list[str]] = {
    # Nobody could run these: a text embedding in place of a captioner, a network that begins with
    # a picture, keys and names that were gone within days.
    "experiment-config__2025-03-17_38363bb": [
        "max_run_length: unknown key. Did you mean 'max_length'?",
        f"networks[2][1] = {EMBEDDING}",
        f"networks[3][1] = {EMBEDDING}",
    ],
    "experiment-config__2025-03-17_a362c9a": [
        "run_length: unknown key. Did you mean 'max_length'?",
        f"networks[2][1] = {EMBEDDING}",
        f"networks[3][1] = {EMBEDDING}",
    ],
    "experiment-config__2025-03-17_fd60c1b": [
        f"networks[2][1] = {EMBEDDING}",
        f"networks[3][1] = {EMBEDDING}",
    ],
    "experiment-config__2025-03-18_3424db5": [
        f"networks[2][1] = {EMBEDDING}",
        f"networks[3][1] = {EMBEDDING}",
    ],
    "experiment-config__2025-03-24_17ba201": [f"networks[1][1] = {EMBEDDING}"],
    "test-config__2025-03-13_0a5afab": [
        "embedders: unknown key. Did you mean 'embedding_models'?",
        "run_length: unknown key. Did you mean 'max_length'?",
        FIRST,
    ],
    "test-config__2025-03-13_fd5a27e": [
        "run_length: unknown key. Did you mean 'max_length'?",
        "embedding_models[0] = 'Dummy': no such model.",
        "embedding_models[1] = 'Dummy2': no such model.",
        FIRST,
    ],
    "test-config__2025-03-17_38363bb": [
        "max_run_length: unknown key. Did you mean 'max_length'?",
        "embedding_models[0] = 'Dummy': no such model.",
        "embedding_models[1] = 'Dummy2': no such model.",
        FIRST,
    ],
    "test-config__2025-03-17_fd60c1b": [
        "embedding_models[0] = 'Dummy': no such model.",
        "embedding_models[1] = 'Dummy2': no such model.",
        FIRST,
    ],
}


def planned(tmp_path: Path, table: Any) -> Plan:
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(table))
    return plan_file(file, CATALOGUE)


def test_there_are_62_of_which_upstream_could_run_53() -> None:
    assert (len(TABLES), len(TABLES) - len(REFUSED)) == (62, 53)


@pytest.mark.parametrize("name", sorted(set(TABLES) - set(REFUSED)))
def test_what_upstream_could_run_plans(name: str, tmp_path: Path) -> None:
    table = TABLES[name]
    plan = planned(tmp_path, table)
    networks = table.get("networks") or [table["network"]]
    assert [[m.name for m in n.models] for n in plan.networks] == networks
    n_seeds = len(table.get("seeds", ())) or table.get("seed_count") or table.get("num_runs", 1)
    assert plan.n_runs == len(networks) * len(table["prompts"]) * n_seeds


@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_could_run_is_refused_without_consequences(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, TABLES[name])
    problems = caught.value.problems
    expected = REFUSED[name]
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)
