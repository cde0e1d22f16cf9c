"""Chains of texts made elsewhere: they become a dataset, and each line that is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import panic_hpc
from panic_hpc import cli
from panic_hpc.errors import ConfigError, ManifestError, ModelError
from panic_hpc.models.loading import load_all
from panic_hpc.recorded import chains_file
from panic_hpc.recorded.chains_file import read_chains
from panic_hpc.recorded.importing import import_chains
from panic_hpc.store.checks.verify import verify_file

STARTS = ("a fox by the river", "a bridge at night")
# Of the second prompt one network has two chains, so three places of eight stay empty.
CHAINS = (("a1", "en", 0, 4), ("a2", "en", 0, 2), ("a3", "de", 0, 4), ("b1", "de", 1, 4))


def line(run: Any, step: Any, text: Any, **labels: Any) -> str:
    return json.dumps({"run": run, "step": step, "text": text, "labels": labels})


def retold(name: str, step: int) -> str:
    return "" if (name, step) == ("b1", 2) else f"{name} tells «{step}»"


def chain_lines() -> list[str]:
    lines = []
    for name, language, prompt, length in CHAINS:
        lines.append(line(name, 1, STARTS[prompt], language=language, story=f"s{prompt}", age=30))
        lines += [line(name, step + 2, retold(name, step)) for step in range(length)]
    # Lines may come in any order.
    return lines[::-1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "retold.jsonl"
    path.write_text("\n\n".join(chain_lines()) + "\n")
    return path


def test_chains_are_embedded_merged_and_analysed_as_others(tmp_path: Path, file: Path) -> None:
    found = import_chains(
        file, tmp_path / "E", network="language", group="story", embedding_models=["DummyText"]
    )
    assert (found.n_chains, found.n_empty) == (4, 4)
    workspace = panic_hpc.open_workspace(tmp_path / "E")
    panic_hpc.submit(workspace, panic_hpc.request_for("local", executor="inline"), wait=True)
    assert verify_file(workspace.paths.dataset).findings == ()
    with panic_hpc.open(workspace.paths.dataset) as dataset:
        runs = dataset.runs()
        names = {
            place: told
            for shard in dataset.shards().filter(stage="runs")["provenance"]
            for place, told in json.loads(shard)["imported"]["runs"].items()
        }
        assert {told["run"] for told in names.values()} == {name for name, *_ in CHAINS}
        for place, told in names.items():
            run = int(place)
            [(_, language, prompt, length)] = [c for c in CHAINS if c[0] == told["run"]]
            assert told["labels"] == {"language": language, "story": f"s{prompt}", "age": "30"}
            assert dataset.texts(run) == {s: retold(told["run"], s) for s in range(length)}
            assert dataset.prompts()["text"][runs["prompt"][run]] == STARTS[prompt]
            assert runs["ended"][run] == ("length" if length == 4 else "unknown")
            assert len(dataset.trajectory(run, "DummyText")) == length
        assert sorted(runs["ended"].to_list()) == ["failed"] * 4 + ["length"] * 3 + ["unknown"]
        assert dataset.networks()["name"].to_list() == ["told-de", "told-en"]
        assert dataset.prompts()["group"].to_list() == ["s1", "s0"]


def test_the_same_import_changes_nothing_and_another_is_refused(tmp_path: Path, file: Path) -> None:
    first = import_chains(file, tmp_path / "E")
    shard = panic_hpc.open_workspace(tmp_path / "E").paths.root / "shards/runs/runs_00000.h5"
    before = shard.stat().st_mtime_ns, shard.read_bytes()
    assert import_chains(file, tmp_path / "E") == first
    assert (shard.stat().st_mtime_ns, shard.read_bytes()) == before
    file.write_text(file.read_text().replace("a1 tells", "a1 says"))
    with pytest.raises(ManifestError, match="another experiment"):
        import_chains(file, tmp_path / "E")


def test_a_lost_shard_is_asked_for_and_never_made_up(tmp_path: Path, file: Path) -> None:
    manifest = import_chains(file, tmp_path / "E").manifest
    with pytest.raises(ModelError, match=r"wrote its texts elsewhere.*import chains"):
        load_all(manifest.networks[0].models, "cpu")


WRONG = {
    "{": "line 2 is not JSON",
    "[1]": "line 2 = [1]: a table was expected",
    '{"run": "a", "step": 1}': "line 2.text is missing",
    '{"run": "a", "step": 1, "text": "x", "lables": {}}': "line 2.lables: unknown key. Did you",
    line("a", 0.5, "x"): "line 2.step = 0.5: a whole number",
    line("a", True, "x"): "line 2.step = True: a whole number",
    line("a", -2, "x"): "line 2.step = -2: at least -1",
    line("a", 10**7, "x"): "line 2.step = 10000000: at most 1000000",
    line("a", 0, "x"): "line 2: run 'a' has a step 0 already, in line 1",
    line("a", 3, "x"): "line 2: run 'a' has no step 2 before its step 3",
    line("a", 1, 7): "line 2.text = 7: a text was expected",
    line("", 1, "x"): "line 2.run = ''",
    line("a", 1, "x", story="s2"): "line 2: run 'a' has story = 's1' in a line before",
    line("b", 0, "x"): "line 2: run 'b' has no other text",
    line("b", 0, " ") + "\n" + line("b", 1, "x"): "line 2: the text that run 'b' begins with",
    '{"run": "a", "step": 1, "text": "\\ud800"}': "line 2 is not JSON (a text with half",
    '{"run": "a", "step": 1, "step": 1, "text": "x"}': "line 2 is not JSON (the key 'step' is",
    "[" * 100_000: "line 2 is not JSON (nested",
    line("a", 1, "x" * (chains_file.MAX_CHARACTERS + 1)): "line 2.text = 'xxx",
    line("a", 1, "x", **{str(n): n for n in range(33)}): "line 2.labels = {",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_each_bad_line_is_named_by_its_number(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{line('a', 0, 'start', story='s1')}\n{wrong}\n{line('a', 1, 'told')}\n")
    with pytest.raises(ConfigError) as found:
        read_chains(path)
    assert any(text.startswith(WRONG[wrong]) for text in found.value.problems), found.value
    assert all(len(text) < 300 for text in found.value.problems)


def test_bytes_that_are_no_text_and_empty_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'\n{"run": "a\xff"}\n')
    with pytest.raises(ConfigError, match="line 2 is not JSON"):
        read_chains(path)
    path.write_text("\n\n")
    with pytest.raises(ConfigError, match="no line in it"):
        read_chains(path)
    with pytest.raises(ConfigError, match="not a file"):
        read_chains(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_chains(tmp_path / "none.jsonl")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jsonl"
    path.write_text("x" * 5000)
    monkeypatch.setattr(chains_file, "MAX_LINE_BYTES", 1000)
    with pytest.raises(ConfigError, match="line 1: beyond"):
        read_chains(path)
    path.write_text("{}\n" * 5000)
    with pytest.raises(ConfigError, match="has 51 problems") as found:
        read_chains(path)
    assert found.value.problems[-1] == "… and 952 more"
    monkeypatch.setattr(chains_file, "MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match="larger than"):
        read_chains(path)


def test_unknown_labels_and_divided_groups_are_told(tmp_path: Path, file: Path) -> None:
    with pytest.raises(ConfigError, match="no run has a label 'age_'; there are: age, language"):
        import_chains(file, tmp_path / "E", network="age_")
    with pytest.raises(ConfigError, match="its prompt is of group 'de' in another run"):
        import_chains(file, tmp_path / "E", group="language")
    assert not (tmp_path / "E").exists()


def test_labels_of_any_kind_name_networks_apart(tmp_path: Path) -> None:
    labels = ["é x", "é/x", "é-x", "x" * 200, "", "MPNet", "../a"]
    path = tmp_path / "c.jsonl"
    path.write_text(
        "".join(
            f"{line(n, 0, 'start', who=label)}\n{line(n, 1, f'told {n}')}\n"
            for n, label in enumerate(labels)
        )
    )
    manifest = import_chains(path, tmp_path / "E", network="who").manifest
    assert len({network.models[0].name for network in manifest.networks}) == len(labels)


def test_the_verb_takes_chains_and_databases(tmp_path: Path, file: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    cli.register_verbs(app)
    done = CliRunner().invoke(
        app, ["import", "chains", str(file), "-o", str(tmp_path / "E"), "--json"]
    )
    assert json.loads(done.stdout)["chains"] == 4
    old = CliRunner().invoke(app, ["import", str(file), "-o", str(tmp_path / "d.h5")])
    new = CliRunner().invoke(app, ["import", "database", str(file), "-o", str(tmp_path / "d.h5")])
    assert str(old.exception) == str(new.exception)
    assert "retold.jsonl" in str(old.exception)
