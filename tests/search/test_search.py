"""A search: its file is checked, its sampler finds what is planted, and a kill loses nothing."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import needs
import pytest
from little_experiment import command_line, run_command, wait_for
from little_search import SEARCH, keys_of, written

import panic_hpc
from panic_hpc.backends.base import request_for
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.paths import shipped_configs
from panic_hpc.search import driving
from panic_hpc.search.driving import goes_on
from panic_hpc.search.rounds import RoundPaths, distinct, experiment_of, values_of_trials
from panic_hpc.search.sampling import next_trials
from panic_hpc.search.search_file import Search, SearchAxis, read_search
from panic_hpc.types import Shard
from panic_hpc.workspace.status import ShardStatus, Status

needs.library("optuna", "search")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rounds = 0", "rounds = 0: at least 1 was expected"),
        ("runds = 3", "runds: unknown key. Did you mean 'rounds'?"),
        ('sampler = "grid"', "'tpe' or 'random' was expected"),
        ('[space]\n"DummyT2I.size" = { low = 4, high = 2 }', "low and a larger high"),
        ('[space]\n"DummyT2I.size" = { low = 0.0, high = 2.0, log = true }', "low above 0"),
        ('[space]\n"DummyT2I.size" = { choices = [1], low = 1 }', "choices stand alone"),
        ('[space]\n"DummyT2I.size" = { low = -1e308, high = 1e308 }', "at most 1e+15 in size"),
        ('[space]\n"DummyT2I.size" = { low = 1.0, high = 8.0, step = 1e-300 }', "1,000,000 steps"),
        ('[space]\n"DummyT2I.size" = { low = 1, high = 8, step = 9 }', "1,000,000 steps"),
        ('[space]\n"DummyI2X.size" = { low = 1, high = 2 }', "Did you mean 'DummyI2T'"),
        ('[space]\n"size" = { low = 1, high = 2 }', "MODEL.SETTING of the network was expected"),
        ("[space]", "space"),
    ],
)
def test_a_file_with_mistakes_is_told_them(tmp_path: Path, text: str, told: str) -> None:
    head = 'experiment = "base.json"\nmeasure = "steps"\n'
    space = "" if "[space]" in text else '\n[space]\n"DummyT2I.size" = { low = 16, high = 24 }'
    with pytest.raises(ConfigError) as caught:
        read_search(written(tmp_path, head + text + space))
    assert told in str(caught.value)


def test_the_shipped_search_is_one_whose_first_round_can_be_planned(tmp_path: Path) -> None:
    search, base = read_search(shipped_configs() / "searches" / "guidance.toml")
    trials = next_trials(search, 0, [])
    (tmp_path / "round.json").write_text(json.dumps(experiment_of(base, 0, trials)))
    manifest = panic_hpc.preview(tmp_path / "round.json")
    assert len(manifest.networks) == len(distinct(trials)) == search.trials
    wanted = [settings["Drawn.guidance"] for settings in trials]
    assert [n.models[0].settings["guidance"] for n in manifest.networks] == wanted


def test_an_experiment_of_two_networks_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one network was expected"):
        read_search(written(tmp_path, networks=[["DummyT2I"], ["DummyT2I2"]]))


@pytest.mark.parametrize("key", ["prompts_file", "models_file", "inputs"])
def test_what_the_base_names_is_looked_for_beside_it(tmp_path: Path, key: str) -> None:
    _, base = read_search(written(tmp_path, **{key: "beside"}))
    assert base[key] == str(tmp_path / "beside")
    _, base = read_search(written(tmp_path, **{key: "~/own"}))
    assert base[key] == str(Path.home() / "own")


def test_a_round_is_an_experiment_with_a_network_a_setting() -> None:
    trials: list[dict[str, Any]] = [{"A.x": 1, "B.y": 2.0}, {"A.x": 3, "B.y": 2.0}]
    base = {"networks": [{"models": ["A", "B", "C"], "noise": "fixed"}], "models": {"A": {"z": 0}}}
    found = experiment_of(base, 4, [*trials, trials[0]])
    assert found["networks"] == [
        {"models": ["A.trial-4-0", "B.trial-4-0", "C"], "noise": "fixed"},
        {"models": ["A.trial-4-1", "B.trial-4-1", "C"], "noise": "fixed"},
    ]
    assert found["models"]["A.trial-4-1"] == {"base": "A", "x": 3}
    assert found["models"]["A"] == {"z": 0}
    assert len(distinct([*trials, trials[0]])) == 2
    assert values_of_trials([*trials, trials[0]], [0.5, None]) == [0.5, None, 0.5]
    with pytest.raises(ConfigError, match="3 networks for 2 trials"):
        values_of_trials(trials, [1.0, 2.0, 3.0])


def climbed(sampler: str, seed: int) -> float:
    """Return the best that six rounds of eight trials find of a planted optimum, 0 at its best."""
    axes = {f"M.{name}": SearchAxis(low=-1.0, high=1.0) for name in "abcd"}
    search = Search(experiment="", measure="", sampler=sampler, seed=seed, space=axes)  # type: ignore[arg-type]
    told: list[tuple[Any, float | None]] = []
    for number in range(search.rounds):
        for settings in next_trials(search, number, told):
            told.append((settings, -sum((value - 0.3) ** 2 for value in settings.values())))
    return max(value for _, value in told if value is not None)


def test_a_planted_optimum_is_found_nearer_than_by_chance() -> None:
    found = {name: sum(climbed(name, seed) for seed in range(8)) / 8 for name in ("tpe", "random")}
    assert found["tpe"] > -0.15
    assert found["tpe"] > found["random"] / 2


def test_a_question_has_one_answer_and_trials_without_a_value_are_no_obstacle() -> None:
    axes = {
        "M.a": SearchAxis(low=1.0, high=8.0, log=True), "M.b": SearchAxis(low=2, high=9),
        "M.c": SearchAxis(choices=("x", "y")), "M.d": SearchAxis(low=0.0, high=1.0, step=0.25),
    }  # fmt: skip
    search = Search(experiment="", measure="", trials=4, space=axes)
    told = [(settings, None if k % 2 else float(k)) for k, settings in
            enumerate(next_trials(search, 0, []) * 5)]  # fmt: skip
    found = next_trials(search, 1, told)
    assert found == next_trials(search, 1, told)
    assert found != next_trials(search, 2, told)
    for settings in found:
        assert 1 <= settings["M.a"] <= 8
        assert isinstance(settings["M.b"], int)
        assert settings["M.c"] in ("x", "y")
        assert settings["M.d"] % 0.25 == 0


def test_a_killed_driver_goes_on_to_the_same_end(tmp_path: Path) -> None:
    file = written(tmp_path)
    asked = ("search", file, tmp_path / "whole", "--executor", "inline", "--json")
    whole = json.loads(run_command(*asked))
    assert len(whole["trials"]) == 6
    values = [trial["value"] for trial in whole["trials"]]
    assert values == sorted(values, reverse=True)
    cut = tmp_path / "cut"
    command = command_line("search", file, cut, "--executor", "inline", "--json")
    for sign in ("000.trials.json", "000/shards/runs", "001.experiment.json"):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
            wait_for((cut / "rounds" / sign).exists, sign)
            driver.send_signal(signal.SIGKILL)
    found = json.loads(run_command("search", file, cut, "--executor", "inline", "--json"))
    assert found == whole
    assert keys_of(cut) == keys_of(tmp_path / "whole")
    # The same command again does nothing; another search is refused.
    assert json.loads(run_command(*asked)) == whole
    file.write_text(SEARCH.replace("high = 24", "high = 25"))
    assert "holds another search" in run_command(*asked, code=1)


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        (["completed", "lost", "waiting"], True),
        (["eligible", "waiting"], True),
        (["completed", "failed", "lost"], False),
        (["completed", "disk"], False),
        (["lost", "disk"], True),
        (["submitted", "waiting"], False),
        (["completed"], False),
    ],
)
def test_what_was_lost_is_submitted_again_and_what_failed_is_not(
    states: list[Any], wanted: bool
) -> None:
    shards = [
        ShardStatus(
            Shard("runs", k, "", k, 1, ()), "failed" if s == "disk" else s, disk=s == "disk"
        )
        for k, s in enumerate(states)
    ]
    assert goes_on(Status({"runs": tuple(shards)})) == wanted


def test_a_measure_of_sets_is_refused_before_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(PanicError, match="one of runs alone was expected"):
        read_search(written(tmp_path, SEARCH.replace("Luminance.mean", "kid.DummyVision")))


def test_what_stops_the_first_round_is_told_before_it_and_leaves_nothing(tmp_path: Path) -> None:
    where = tmp_path / "S"
    wrong = written(tmp_path, SEARCH.replace("Luminance.mean", "Luminanse.mean"))
    told = run_command("search", wrong, where, "--executor", "inline", code=1)
    assert "Did you mean 'Luminance'?" in told
    wrong = written(tmp_path, networks=[["DummyT2I", "Nobody"]])
    assert "Nobody" in run_command("search", wrong, where, "--executor", "inline", code=1)
    assert {path.name for path in tmp_path.iterdir()} == {"base.json", "search.toml"}


def test_what_is_submitted_again_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Status(
        {"runs": tuple(ShardStatus(Shard("runs", k, "", k, 1, ()), "lost") for k in range(2))}
    )
    submitted: list[Any] = []
    told: list[str] = []
    monkeypatch.setattr("panic_hpc.api.plan", lambda *arguments: None)
    monkeypatch.setattr("panic_hpc.api.submit", lambda *a, **options: submitted.append(a))
    monkeypatch.setattr("panic_hpc.api.wait", lambda *arguments: left)
    paths = RoundPaths(tmp_path, 0)
    request = panic_hpc.request_for("local", executor="inline")
    with pytest.raises(PanicError, match="is not complete"):
        driving.completed(paths, request, False, told.append)
    again = f"{paths.experiment} has 2 shards left: submitted again, time"
    assert (len(submitted), told) == (3, [f"{again} 2 of 3", f"{again} 3 of 3"])


@pytest.fixture
def ended(tmp_path: Path) -> tuple[Path, Search, dict[str, Any]]:
    """A search whose only round has ended, as its files say; and the search and its base."""
    search, base = read_search(written(tmp_path, SEARCH.replace("rounds = 2", "rounds = 1")))
    paths = RoundPaths(tmp_path / "S", 0)
    (tmp_path / "S" / "rounds").mkdir(parents=True)
    trials = next_trials(search, 0, [])
    said = search.model_dump(mode="json", exclude={"rounds"})
    for path, value in (
        (tmp_path / "S" / "search.json", {"search": said, "experiment": base}),
        (paths.trials, {"trials": trials}),
        (paths.file, experiment_of(base, 0, trials)),
        (paths.values, {"values": [0.5, None, 1.0]}),
    ):
        path.write_text(json.dumps(value))
    return tmp_path / "S", search, base


def test_an_ended_search_is_read_from_its_files(ended: tuple[Path, Search, Any]) -> None:
    found = driving.advance(*ended, request_for("local", executor="inline"))
    assert [trial.value for trial in found] == [0.5, None, 1.0]


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("values", lambda found: found["values"].pop(), "has 2 values for 3 trials"),
        ("values", lambda found: found["values"].append(2.0), "has 4 values for 3 trials"),
        ("trials", lambda found: found["trials"].clear(), "not what it should be"),
        ("trials", lambda found: found["trials"][0].clear(), "not what it should be"),
        ("trials", lambda found: found["trials"][0].update(x=1), "not what it should be"),
        ("trials", lambda found: found["trials"].pop(), r"for 2 trials|does not follow"),
        (
            "trials",
            lambda found: found["trials"][0].update({"DummyT2I.size": 1000}),
            "does not follow from 000.trials.json",
        ),
        ("file", lambda found: found["prompts"].reverse(), "does not follow from 000.trials.json"),
    ],
)
def test_no_value_is_told_of_settings_that_were_not_tried(
    ended: tuple[Path, Search, Any], name: str, change: Any, told: str
) -> None:
    path = getattr(RoundPaths(ended[0], 0), name)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(PanicError, match=told) as caught:
        driving.advance(*ended, request_for("local", executor="inline"))
    assert str(ended[0] / "rounds" / "000.") in caught.value.message
    assert caught.value.hint
