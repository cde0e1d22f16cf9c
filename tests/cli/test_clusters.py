"""`clusters list|show|check` as a user types them."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from panic_hpc.cli import clusters
from panic_hpc.errors import ConfigError


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("PANIC_HPC_CLUSTERS", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    app = typer.Typer()
    clusters.register(app)
    return app


def run(app: typer.Typer, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, result.stdout


def test_list_says_what_was_never_tried(app: typer.Typer) -> None:
    _, text = run(app, "clusters", "list")
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "(not tried there)" in lines["lumi-g"]
    assert "(not tried there)" not in lines["testbed"]
    assert "_template" not in lines


def test_show_prints_the_sbatch_options(app: typer.Typer) -> None:
    _, text = run(app, "clusters", "show", "juwels-booster")
    assert "--gres=gpu:4" in text
    assert "--mem" not in text
    code, text = run(app, "clusters", "show", "juwels-booster", "--json")
    assert code == 0
    assert json.loads(text)["stages"]["runs"]["shards_per_job"] == 4


def test_check_of_a_cluster_without_slurm_fails(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text = run(app, "clusters", "check", "testbed")
    assert code == 1
    assert "no scontrol on this machine" in text


def test_check_names_directories_that_cannot_be_used(app: typer.Typer, tmp_path: Path) -> None:
    home = Path.home()
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nscheduler = "local"\n'
        f'[paths]\nscratch = "/proc/x"\ncache = "{home}/cache"\n'
        '[container]\nimage = "/absent.sif"\nbinds = ["/absent/bind"]'
    )
    code, text = run(app, "clusters", "check", "mine")
    assert code == 1
    for words in (
        "/proc/x cannot be written",
        "lies in the home",
        "/absent/bind",
        "absent.sif cannot",
    ):
        assert words in " ".join(text.split())


def test_an_unset_variable_is_named(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCRATCH", raising=False)
    with pytest.raises(ConfigError, match="SCRATCH"):
        run(app, "clusters", "check", "leonardo")


def test_a_broken_profile_hides_no_other(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("name = 3")
    code, text = run(app, "clusters", "list")
    assert (code, "lumi-g" in text) == (0, True)
