"""plan, list, show, delete and models, as they are typed."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from panic_hpc import cli
from panic_hpc.cli.console import output
from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest
from panic_hpc.types import Shard
from panic_hpc.workspace import leases
from panic_hpc.workspace.process import this_process

ExperimentFile = Callable[..., Path]


class Answer(NamedTuple):
    """What the command line gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Answer]:
    """Type a command in this process, in an empty directory."""
    monkeypatch.setattr(output.out, "width", 200)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["panic-hpc", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


Typed = Callable[..., Answer]


def test_plan_says_what_will_happen_and_writes_it_once(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    first = typed("plan", experiment_file(), "EXP")
    assert first.code == 0
    for word in ("4 runs of 10 steps", "1 network, 2 prompts, 2 seeds", "40 invocations"):
        assert word in first.out
    for word in ("runs", "embeddings", "diagrams", "merge", "GPU-hours", "panic-hpc submit EXP"):
        assert word in first.out
    written = manifest.read(Path("EXP"))
    assert f"key {written.key}" in first.out
    again = typed("plan", experiment_file(), "EXP")
    assert (again.code, "EXP is unchanged" in again.out) == (0, True)


def test_plan_in_json(typed: Typed, experiment_file: ExperimentFile) -> None:
    answer = typed("plan", experiment_file(), "EXP", "--json").json
    assert (answer["runs"], answer["invocations"], answer["written"]) == (4, 40, True)
    assert answer["stages"]["runs"]["shards"] == 1
    assert answer["stages"]["merge"]["bytes"] > 0
    assert answer["key"] == manifest.read(Path("EXP")).key
    assert not typed("plan", experiment_file(), "EXP", "--json").json["written"]


def test_the_directory_is_named_after_the_file(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    assert typed("plan", experiment_file("foxes.json")).code == 0
    assert manifest.read(Path("foxes")).n_runs == 4


def test_a_dry_run_writes_nothing(typed: Typed, experiment_file: ExperimentFile) -> None:
    dry = typed("plan", experiment_file(), "EXP", "--dry-run")
    assert not Path("EXP").exists()
    wet = typed("plan", experiment_file(), "EXP", "--json").json
    assert wet["key"] in dry.out


def test_the_layout_is_as_told_and_kept_when_nothing_is_told(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    path = experiment_file(prompts=[f"p{i}" for i in range(20)])
    told = typed("plan", path, "EXP", "--runs-per-shard", 5, "--json").json
    assert told["networks"][0]["runs_per_shard"] == 8
    assert told["stages"]["runs"]["shards"] == 5
    again = typed("plan", path, "EXP", "--json").json
    assert (again["key"], again["written"]) == (told["key"], False)
    other = typed("plan", path, "EXP", "--runs-per-shard", 12)
    assert other.code == 1
    assert "networks[0].runs_per_shard: 8 → 12" in other.err


def test_a_shard_lasts_as_long_as_told(typed: Typed, experiment_file: ExperimentFile) -> None:
    slow = {name: {"seconds": 6.0} for name in ("DummyT2I", "DummyI2T")}
    path = experiment_file(prompts=[f"p{i}" for i in range(20)], models=slow)
    answer = typed("plan", path, "EXP", "--target-minutes", 8.5, "--json").json
    assert answer["networks"][0]["runs_per_shard"] == 8
    both = typed("plan", path, "EXP2", "--target-minutes", 1, "--runs-per-shard", 1)
    assert (both.code, "give one of them" in both.err) == (1, True)


def test_another_experiment_is_refused_with_what_differs(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    typed("plan", experiment_file(), "EXP")
    answer = typed("plan", experiment_file(max_length=11), "EXP")
    assert answer.code == 1
    assert "experiment.max_length: 10 → 11" in answer.err


def test_all_problems_and_no_trace(typed: Typed, experiment_file: ExperimentFile) -> None:
    answer = typed("plan", experiment_file(max_length=0, prompts=[""], sedes=[1]), "EXP")
    assert answer.code == 1
    for problem in ("max_length = 0", "prompts[0]", "Did you mean 'seeds'?"):
        assert problem in answer.err
    assert "Traceback" not in answer.err
    assert not Path("EXP").exists()


EXAMPLE = Path(__file__).parents[2] / "configs" / "experiments" / "upstream-example.json"


def test_upstreams_example_plans_and_says_whose_code_it_would_run(typed: Typed) -> None:
    answer = typed("plan", EXAMPLE, "EXP")
    assert answer.code == 0
    assert "4 runs of 100 steps" in answer.out
    assert "Moondream runs code of its repository" in answer.err
    refused = typed("submit", "EXP")
    assert (refused.code, "Moondream runs code" in refused.err) == (1, True)


def test_upstreams_example_lacks_nothing_but_weights(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(Path("cache").absolute()))
    planned = typed("plan", EXAMPLE, "EXP", "--allow-remote-code")
    assert (planned.code, planned.err) == (0, "")
    refused = typed("submit", "EXP")
    assert refused.code == 1
    assert "FluxDev, Moondream, Nomic: not in" in refused.err
    assert f"panic-hpc models fetch {Path('EXP').absolute()}" in refused.err
    assert "cannot be loaded" not in refused.err


def test_a_file_says_what_the_names_of_another_mean_here(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(Path("cache").absolute()))
    Path("mine.toml").write_text('[Nomic]\nprefix = ""\n[NotUsed]\nfamily = "nobody\'s"\n')
    planned = typed("plan", EXAMPLE, "EXP", "--models", "mine.toml", "--allow-remote-code")
    assert (planned.code, planned.err) == (0, "")
    manifest = Path("EXP/manifest.json").read_text()
    assert '"prefix"' in manifest
    assert "search_document" not in manifest


NASTY = (
    "[bold red]not markup[/] [/nope]",
    "\x1b[31mred\x1b[0m \x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "$(touch pwned) `touch pwned` ; rm -rf /",
    "../../etc/passwd",
    "{braces} %s %(x)s",
    "two\nlines\tand\ttabs",
    "🦊 ünïcödé \u0000".replace("\u0000", ""),
)


def test_prompts_are_data_and_nothing_else(typed: Typed, experiment_file: ExperimentFile) -> None:
    path = experiment_file(prompts=list(NASTY))
    assert typed("plan", path, "EXP").code == 0
    assert [prompt.text for prompt in manifest.read(Path("EXP")).prompts] == list(NASTY)
    runs = [("show", "EXP", "--run", 2 * prompt) for prompt in range(len(NASTY))]
    for command in (("show", "EXP"), ("list", "."), *runs):
        shown = typed(*command)
        assert shown.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(shown.out)
    assert "[bold red]not markup[/]" in typed("show", "EXP", "--run", 0).out
    assert typed("show", "EXP", "--json").json["prompts"][1]["text"] == NASTY[1]
    assert not Path("pwned").exists()


def test_show_says_what_was_planned(typed: Typed, experiment_file: ExperimentFile) -> None:
    path = experiment_file(name="small", seeds=[1, -1], homology={"maxdim": 1})
    typed("plan", path, "EXP")
    planned = manifest.read(Path("EXP"))
    shown = typed("show", "EXP")
    for word in (planned.key, planned.networks[0].key, "DummyT2I → DummyI2T", "arithmetic",
                 "batch_size", "homology.maxdim", "a red fox", "(unseeded)"):  # fmt: skip
        assert word in shown.out
    run = typed("show", "EXP", "--run", 3, "--json").json
    assert run["key"] == planned.run(3).key
    assert (run["prompt"], run["noise"]) == ("a blue boat", "per_step")
    assert "0 to 3" in typed("show", "EXP", "--run", 4).err


def test_list_finds_experiments(typed: Typed, experiment_file: ExperimentFile) -> None:
    assert "No experiment below" in typed("list").out
    typed("plan", experiment_file(name="one"), "study/first")
    typed("plan", experiment_file(name="two"), "study/second")
    Path("study/first/prompts.json").write_text("{}")
    Path("study/second/manifest.json").write_text("{}")
    listed = typed("list", "study")
    assert listed.code == 0
    assert "one" in listed.out
    assert "is not a manifest" in listed.out
    roots = [entry["root"] for entry in typed("list", "study", "--json").json]
    assert roots == ["study/first", "study/second"]
    assert typed("list", "nowhere").code == 1


def test_delete_asks_first(
    typed: Typed, experiment_file: ExperimentFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("plan", experiment_file(), "EXP")
    dry = typed("delete", "EXP", "--dry-run")
    assert (dry.code, "2 files" in dry.out, Path("EXP").exists()) == (0, True, True)
    assert "voted" not in dry.out
    Path("EXP/votes").mkdir()
    assert (
        "cannot be computed again: copy EXP/votes first" in typed("delete", "EXP", "--dry-run").out
    )
    for answer in ("", "n\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert typed("delete", "EXP").code == 1
    assert Path("EXP/manifest.json").exists()
    assert typed("delete", "EXP", "--yes").code == 0
    assert not Path("EXP").exists()
    assert typed("delete", "EXP", "--yes").code == 1


def test_what_a_merge_left_is_deleted_with_the_rest(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    typed("plan", experiment_file(max_length=2), "EXP")
    assert typed("submit", "EXP", "--executor", "inline").code == 0
    assert typed("verify", "EXP").code == 0
    assert "Deleted EXP" in typed("delete", "EXP", "--yes").out
    assert not Path("EXP").exists()


def test_delete_refuses_while_shards_are_worked_on(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    typed("plan", experiment_file(), "EXP")
    lease = ExperimentPaths(Path("EXP")).lease(Shard("runs", 0, "", 0, 4))
    lease.parent.mkdir(parents=True)
    held = leases.take(lease, this_process(), "test")
    assert held
    with held:
        refused = typed("delete", "EXP", "--yes")
    assert (refused.code, "is being worked on: runs_00000" in refused.err) == (1, True)
    assert Path("EXP/manifest.json").exists()


def test_models_are_listed(typed: Typed) -> None:
    listed = typed("models", "list")
    for word in ("FluxDev", "flux-1-dev-non-commercial-license", "torchvision", "Families:"):
        assert word in listed.out
    assert "not yet" not in listed.out
    assert "FluxDev" not in typed("models", "list", "--family", "arithmetic").out
    told = typed("models", "list", "--json").json
    by_name = {model["name"]: model for model in told["models"]}
    assert by_name["Qwen3Embed"]["revision"] == "5cf2132abc99cad020ac570b19d031efec650f2b"
    assert by_name["DummyT2I"]["unavailable"] == ""
    assert "batch_size" in told["families"]["diffusers"]
    settings = typed("models", "list", "--family", "diffusers").out
    for word in ("batch_size", "integer ≥ 1", "denoising steps", "bfloat16"):
        assert word in settings
    wrong = typed("models", "list", "--family", "arithmetik")
    assert (wrong.code, "Did you mean 'arithmetic'?" in wrong.err) == (1, True)


@pytest.mark.parametrize("width", [80, 200])
def test_no_name_that_can_be_typed_is_cut(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(output.out, "width", width)
    listed = typed("models", "list").out
    for name in ("MicroDiffusion", "STSBDistilRoberta", "ColNomicVision", "sentence_transformers"):
        assert name in listed.replace(",", " ").split()
    assert max(map(len, listed.splitlines())) <= width


def test_noise_is_told_as_the_runs_have_it(typed: Typed, experiment_file: ExperimentFile) -> None:
    """Runs without a seed, which is upstream's default, never have fixed noise, and no loops."""
    unseeded = typed("plan", experiment_file(seeds=None, seed_count=2), "--dry-run").out
    assert "(per_step noise)" in unseeded
    assert "loop" not in unseeded
    mixed = typed("plan", experiment_file(seeds=[1, -1]), "--dry-run", "--json").json
    assert mixed["networks"][0]["noise"] == "fixed and per_step"


def test_hundreds_of_networks_fit_on_a_screen(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    models = {f"Painter{i}": {"family": "arithmetic", "kind": "text_to_image", "size": 16 + i}
              for i in range(200)}  # fmt: skip
    path = experiment_file(networks=[[name, "DummyI2T"] for name in models], models=models)
    planned = typed("plan", path, "--dry-run")
    assert (planned.code, planned.out.count("\n") < 40) == (0, True)
    assert "… and 180 networks more" in planned.out


def test_a_prompt_of_many_lines_is_shown_on_one(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    typed("plan", experiment_file(prompts=["a fox\nkey  forged", "x" * 60_000]), "EXP")
    for shown in (typed("show", "EXP").out, typed("show", "EXP", "--run", 0).out):
        assert "a fox\\nkey  forged" in shown
        assert len(max(shown.splitlines(), key=len)) < 250


def test_what_the_disk_refuses_is_one_line(typed: Typed, experiment_file: ExperimentFile) -> None:
    for command in (("status", "a" * 300), ("plan", experiment_file(), "a" * 300)):
        refused = typed(*command)
        assert (refused.code, "File name too long" in refused.err) == (1, True)
        assert "Traceback" not in refused.err


def test_a_worker_is_not_sent_to_shards_that_are_not_there(
    typed: Typed, experiment_file: ExperimentFile
) -> None:
    typed("plan", experiment_file(), "EXP")
    refused = typed("worker", "EXP", "runs", 7)
    assert (refused.code, "There is no shard 7 of runs" in refused.err) == (1, True)


def test_a_terminal_without_arrows_gets_escapes(experiment_file: ExperimentFile) -> None:
    command = [sys.executable, "-m", "panic_hpc", "plan", str(experiment_file()), "--dry-run"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"DummyT2I \\u2192 DummyI2T" in done.stdout


@pytest.mark.parametrize("verb", ["plan", "list", "show", "delete", "models"])
def test_planning_needs_no_heavy_library(verb: str, experiment_file: ExperimentFile) -> None:
    arguments = {
        "plan": [str(experiment_file()), "--dry-run"],
        "list": ["."],
        "models": ["list"],
    }.get(verb, ["--help"])
    code = (
        "import sys, panic_hpc.cli as cli\n"
        f"sys.argv = ['panic-hpc', {verb!r}, *{arguments!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'matplotlib', 'polars', 'gudhi'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
