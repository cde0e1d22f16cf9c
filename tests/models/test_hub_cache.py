"""The cache as huggingface_hub lays it out, and what is said where a model is not in it."""

import fnmatch
import subprocess
import sys
from pathlib import Path

import pytest

from panic_hpc.errors import ModelError
from panic_hpc.models import hub_cache
from panic_hpc.types import ModelSpec

COMMIT = "0" * 40
EXPERIMENT = f"""
networks = [["Painter", "DummyI2T"]]
prompts = ["a boat"]
seeds = [1]
embedding_models = ["DummyText"]
max_length = 4

[models.Painter]
family = "diffusers"
repository = "somebody/painter"
revision = "{COMMIT}"
"""


def spec(repository: str = "somebody/painter", revision: str = COMMIT) -> ModelSpec:
    return ModelSpec("Painter", "diffusers", "text", "image", repository, revision, "", 1, {})


def cached(cache: Path) -> Path:
    snapshot = cache / "models--somebody--painter" / "snapshots" / COMMIT
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "unet" / "config.json").write_text("{}")
    return cache


def test_the_cache_is_where_the_hub_looks_for_it() -> None:
    assert hub_cache.cache_directory({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache.cache_directory({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}) == Path("/b/hub")
    assert hub_cache.cache_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache.cache_directory({"HUGGINGFACE_HUB_CACHE": "/d"}) == Path("/d")
    assert hub_cache.cache_directory({"HF_HOME": "~/e"}) == Path.home() / "e" / "hub"


def test_a_chat_models_template_is_fetched_with_it() -> None:
    """Without it the model is asked nothing, and a cluster's captions are others."""
    assert any(fnmatch.fnmatch("chat_template.jinja", p) for p in hub_cache.WANTED_FILES)


def test_a_model_is_missing_unless_its_very_revision_is_there(tmp_path: Path) -> None:
    cache = cached(tmp_path)
    other = spec(revision="1" * 40)
    local = spec(repository="", revision="sha256:00")
    assert hub_cache.missing([spec(), other, local], cache) == [other]


def test_a_dangling_link_of_a_purged_cache_is_missing(tmp_path: Path) -> None:
    cache = cached(tmp_path)
    config = next(cache.rglob("config.json"))
    config.unlink()
    config.symlink_to(tmp_path / "purged")
    assert hub_cache.missing([spec()], cache) == [spec()]


@pytest.mark.compute
def test_a_hub_out_of_reach_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="somebody/painter") as caught:
        hub_cache.fetch(spec(), tmp_path)
    assert "Fetch it on a machine that reaches the hub" in str(caught.value)


def test_a_cluster_submission_names_what_its_jobs_would_not_find(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    run(tmp_path, "plan", "e.toml", "exp")
    refused = run(tmp_path, "submit", "exp", "--cluster", "testbed", "--dry-run", check=False)
    assert refused.returncode == 1
    assert "Painter: not in" in refused.stderr
    assert "panic-hpc models fetch EXP --cluster testbed" in refused.stderr


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    cached(tmp_path / "cache")
    done = run(tmp_path, "models", "fetch", "e.toml")
    assert "was there" in done.stdout


def run(root: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line in `root`, its hub cache there too."""
    return subprocess.run(
        ["env", f"HF_HUB_CACHE={root / 'cache'}", sys.executable, "-m", "panic_hpc", *words],
        cwd=root,
        check=check,
        capture_output=True,
        text=True,
    )
