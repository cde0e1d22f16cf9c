"""lock and fetch against a hub on this machine, with the faults that hubs and networks have."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from little_experiment import wait_for
from loopback_hub import Repository, hub

from panic_hpc.models import builtin
from panic_hpc.models.hub import cache as hub_cache
from panic_hpc.models.hub.lock import commits_of, read_lock
from panic_hpc.planning import manifest

pytestmark = pytest.mark.compute

MICROWORLD = Path(builtin.__file__).with_name("microworld")
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
EXPERIMENT = """
networks = [["Turbo", "Terse"]]
prompts = ["two red circles on grey"]
seeds = [1]
embedding_models = ["Text"]
max_length = 2
[models]
Turbo = { family = "diffusers", repository = "me/turbo", steps = 2, height = 32, width = 32 }
Terse = { family = "transformers", repository = "me/terse", ref = "v1" }
Text = { family = "sentence_transformers", repository = "me/text", max_tokens = 32 }
"""


ONLINE: Mapping[str, str] = {}
NOBODY = "http://127.0.0.1:9"
# Every loader that asks a hub would fail.
NOWHERE = {"HF_ENDPOINT": NOBODY, "HF_HUB_OFFLINE": "1"}


class Site:
    """A directory with an experiment, an empty cache, and a hub that has its models."""

    def __init__(self, root: Path, repositories: dict[str, Repository], address: str) -> None:
        self.root, self.repositories = root, repositories
        self.cache = root / "cache"
        self.environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HUB_CACHE": str(self.cache),
            "HF_HUB_DOWNLOAD_TIMEOUT": "60",
        }
        (root / "e.toml").write_text(EXPERIMENT)

    def start(self, *words: str, more: Mapping[str, str] = ONLINE) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "panic_hpc", *words]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0, more: Mapping[str, str] = ONLINE) -> str:
        """Type a command; return what it printed."""
        process = self.start(*words, more=more)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, out + err
        return out + err

    def missing(self) -> list[str]:
        specs = manifest.read(self.root / "E").specs
        return [spec.name for spec in hub_cache.missing(specs, self.cache)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    turbo = tmp_path / "turbo"
    shutil.copytree(MICROWORLD / "MicroTurbo", turbo)
    # What real repositories have beside: other formats, halves, the whole at the root.
    for twin in ("turbo.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"):
        shutil.copy(turbo / WEIGHTS, turbo / twin)
    (turbo / "README.md").write_text("about")
    repositories = {
        "me/turbo": Repository(turbo),
        "me/terse": Repository(MICROWORLD / "MicroTerse", "b" * 40, ("main", "v1")),
        "me/text": Repository(MICROWORLD / "MicroText", "a" * 40, licence="apache-2.0"),
    }
    with hub(repositories) as address:
        yield Site(tmp_path, repositories, address)


def test_a_planned_experiment_needs_one_fetch_and_then_no_hub(site: Site) -> None:
    planned = site.run("plan", "e.toml", "E")
    assert "Next: panic-hpc models fetch E" in planned
    refused = site.run("submit", "E", code=1)
    assert "Turbo, Terse, Text: not in" in refused
    assert re.search(r"panic-hpc models fetch \S*/E$", refused.rstrip())
    told = site.run("models", "fetch", "E", "--dry-run")
    assert "Turbo: 8.0 MB in 10 files, 8.0 MB to bring; licence mit" in told
    assert site.missing() == ["Turbo", "Terse", "Text"]
    site.run("models", "fetch", "E")
    turbo = site.repositories["me/turbo"]
    assert not {"turbo.safetensors", "README.md"} & set(turbo.served)
    assert "unet/diffusion_pytorch_model.fp16.safetensors" not in turbo.served
    commits = {spec.name: spec.revision for spec in manifest.read(site.root / "E").specs}
    assert commits == {"Turbo": turbo.commit, "Terse": "b" * 40, "Text": "a" * 40}
    assert "in " in site.run("models", "fetch", "E", more=NOWHERE)
    site.run("submit", "E", "--executor", "inline", more=NOWHERE)
    assert "clean" in site.run("verify", "E/dataset.h5")
    # The file has no lock, so it is the directory's that says which commits were meant.
    assert "E is unchanged" in site.run("plan", "e.toml", "E", more=NOWHERE)


def test_a_lock_says_what_will_be_run_before_anything_is_brought(site: Site) -> None:
    answer = json.loads(site.run("models", "lock", "e.toml", "--json"))
    assert {name: m["revision"] for name, m in answer["models"].items()} == {
        "Turbo": site.repositories["me/turbo"].commit, "Terse": "b" * 40, "Text": "a" * 40
    }  # fmt: skip
    assert answer["models"]["Text"]["licence"] == "apache-2.0"
    locked = read_lock(site.root / "e.lock.json")
    assert commits_of(locked)["me/terse", "v1"] == "b" * 40
    (weights,) = [f for m in locked for f in m.files if f.name == WEIGHTS]
    assert weights.digest == f"sha256:{site.repositories['me/turbo'].etag(WEIGHTS)}"
    assert [name for r in site.repositories.values() for name in r.served] == []
    # The main branch moves; what is locked stays, until it is asked for anew.
    site.repositories["me/text"].commit = "d" * 40
    site.run("models", "lock", "e.toml")
    assert commits_of(read_lock(site.root / "e.lock.json"))["me/text", ""] == "a" * 40
    site.run("plan", "e.toml", "E")
    assert {s.revision for s in manifest.read(site.root / "E").specs} >= {"a" * 40, "b" * 40}
    assert (site.root / "E" / "models.lock.json").exists()
    site.run("models", "lock", "e.toml", "--update")
    assert commits_of(read_lock(site.root / "e.lock.json"))["me/text", ""] == "d" * 40
    # A planned experiment is another one now, and stays as it is.
    assert "a" * 40 in site.run("plan", "e.toml", "E", code=1)


def test_a_plan_made_before_the_lock_takes_its_commits(site: Site) -> None:
    site.run("plan", "e.toml", "E")
    site.run("models", "lock", "e.toml")
    site.run("plan", "e.toml", "E")
    assert all(spec.revision for spec in manifest.read(site.root / "E").specs)


def test_a_fetch_that_was_killed_is_gone_on_with(site: Site) -> None:
    site.run("plan", "e.toml", "E")
    turbo = site.repositories["me/turbo"]
    turbo.silent = {WEIGHTS}
    process = site.start("models", "fetch", "E")
    wait_for(lambda: WEIGHTS in turbo.served, "the weights to be asked for")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "Turbo" in site.missing()
    assert "Turbo" in site.run("submit", "E", code=1)
    there = [name for name in turbo.served if name != WEIGHTS]
    turbo.silent, turbo.served = set(), []
    assert "MB to bring" in site.run("models", "fetch", "E")
    assert site.missing() == []
    assert not set(there) & set(turbo.served)


def test_a_connection_that_breaks_is_told_and_gone_on_with(site: Site) -> None:
    site.run("plan", "e.toml", "E")
    terse = site.repositories["me/terse"]
    terse.cut_after = 1000
    told = site.run("models", "fetch", "E", code=1)
    assert "me/terse/model.safetensors could not be had from the hub" in told
    assert site.missing() == ["Terse", "Text"]
    terse.cut_after = None
    site.run("models", "fetch", "E")
    assert site.missing() == []


def test_a_file_with_another_digest_is_not_kept(site: Site) -> None:
    site.run("plan", "e.toml", "E")
    text = site.repositories["me/text"]
    text.other = {"model.safetensors"}
    told = site.run("models", "fetch", "E", code=1)
    assert "me/text: model.safetensors came with another digest than the lock's" in told
    assert site.missing() == ["Text"]
    text.other = set()
    site.run("models", "fetch", "E")
    assert site.missing() == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"gated": True}, ("me/text/modules.json is gated", "set HF_TOKEN")),
        ({"absent": {"tokenizer.json"}}, ("me/text/tokenizer.json: the hub has no such file",)),
        ({"refs": ("other",)}, ("me/text: the hub has no such repository or revision",)),
    ],
    ids=["gated", "missing file", "missing revision"],
)
def test_what_the_hub_does_not_give_is_named(
    site: Site, fault: dict[str, object], told: tuple[str, ...]
) -> None:
    site.run("plan", "e.toml", "E")
    for name, value in fault.items():
        setattr(site.repositories["me/text"], name, value)
    answer = site.run("models", "fetch", "E", code=1)
    assert "Traceback" not in answer
    for words in told:
        assert words in answer


def test_a_hub_out_of_reach_is_one_sentence(site: Site) -> None:
    told = site.run("models", "lock", "e.toml", code=1, more={"HF_ENDPOINT": NOBODY})
    assert "me/turbo could not be had from the hub" in told
    assert "Traceback" not in told


def test_pickled_weights_are_not_brought(site: Site) -> None:
    text = site.repositories["me/text"]
    text.files["pytorch_model.bin"] = text.files.pop("model.safetensors")
    text.files.pop("2_Dense/model.safetensors")
    site.run("plan", "e.toml", "E")
    assert "me/text at" in site.run("models", "fetch", "E", code=1)
    assert "pytorch_model.bin" not in text.served


def test_a_base_install_names_the_extra(site: Site) -> None:
    """huggingface_hub is not there, as on a login node with a base install."""
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "sys.argv = ['panic-hpc', 'models', 'lock', 'e.toml']\n"
        "from panic_hpc import cli; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=site.root, env=site.environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'panic-hpc[hub]'" in done.stderr
    assert "Traceback" not in done.stderr
