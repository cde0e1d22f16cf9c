"""Reading experiment files: every problem at once, never a traceback."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from panic_hpc.disk.strict_json import depth_exceeds
from panic_hpc.errors import ConfigError, PanicError
from panic_hpc.experiment import catalogue
from panic_hpc.experiment.config import Experiment
from panic_hpc.experiment.experiment_file import load_experiment
from panic_hpc.planning.plan import plan_file
from panic_hpc.types import Prompt

ExperimentFile = Callable[..., Path]

WRITTEN = """
networks = [["DummyT2I", "DummyI2T"], {models = ["DummyT2I2", "DummyI2T"], noise = "per_step"}]
prompts = ["a red fox", {text = "a blue boat", group = "boats"}]
seeds = [1, 2]
embedding_models = ["DummyText"]
max_length = 10
[images]
codec = "png"
[homology]
maxdim = 1
thresh = 2
[models.DummyT2I]
batch_size = 8
"""


def problems_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        plan_file(path, catalogue.load())
    return caught.value.problems


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(WRITTEN)
    from_toml = load_experiment(tmp_path / "e.toml")
    assert from_toml.homology.thresh == 2.0
    assert from_toml.prompts[1] == Prompt("a blue boat", "boats")
    table = from_toml.model_dump(mode="json", exclude_none=True)
    (tmp_path / "e.json").write_text(json.dumps(table))
    assert load_experiment(tmp_path / "e.json") == from_toml


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_bytes(b"\xef\xbb\xbf" + WRITTEN.replace("\n", "\r\n").encode())
    assert load_experiment(tmp_path / "e.toml").max_length == 10


def test_numbers_that_no_file_of_ours_could_hold_are_refused(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(WRITTEN + f"seed_of_mine = [1, {10**30}]\n")
    assert problems_of(tmp_path / "e.toml") == (
        f"models.DummyT2I.seed_of_mine[1] = {10**30}: at most 19 digits were expected",
    )


def test_all_problems_are_told_at_once(experiment_file: ExperimentFile) -> None:
    problems = problems_of(
        experiment_file(
            networks=[["DummyT2I", 3], "DummyI2T", ["DummyT2I2", "DummyT2I2"], ["FluxDve"]],
            prompts=["a", "a", "", {"text": "x", "grup": "y"}],
            seeds=[-(2**63) - 1, 5, 2**63, 5],
            num_runs=3,
            embedding_models=["DummyI2T", "Nomix"],
            max_length=0,
            homology={"maxdimm": 1, "engine": "ripser"},
            models={"DummyT2I": {"size": 1, "sizes": 4}, "DummyT3I": {}},
            max_lenght=10,
        )
    )
    for expected in (
        "max_lenght: unknown key. Did you mean 'max_length'?",
        "seeds and num_runs: only one of them can be given",
        "networks[0][1] = 3: a text was expected",
        "networks[1] = 'DummyI2T': a list of model names was expected",
        "networks[2]: DummyT2I2 gives image, but the next model, DummyT2I2, takes text",
        "networks[3][0] = 'FluxDve': no such model. Did you mean 'FluxDev'",
        "prompts[2] = '': an empty prompt",
        "prompts[3] = {'text': 'x', 'grup': 'y'}: a prompt has text and group, not grup",
        "prompts: more than once: 'a'",
        "seeds[0] = -9223372036854775809: at least -9223372036854775808",
        "seeds[2] = 9223372036854775808: at most 9223372036854775807",
        "seeds: more than once: 5",
        "embedding_models[0] = 'DummyI2T': turns image into text; it embeds nothing",
        "embedding_models[1] = 'Nomix': no such model. Did you mean 'Nomic'",
        "max_length = 0: at least 1",
        "homology.maxdimm: unknown key. Did you mean 'maxdim'?",
        "homology.engine = 'ripser': 'lazy', 'giotto-ph' or 'gudhi' was expected",
        "models.DummyT2I.size = 1: at least",
        "models.DummyT2I.sizes: unknown key. Did you mean 'size'?",
        "models.DummyT3I: no network, embedding_models or stage has it. Did you mean 'DummyT2I'",
    ):
        assert any(expected in problem for problem in problems), (expected, problems)


def test_json_as_people_write_it(tmp_path: Path) -> None:
    """Upstream's README begins its example with a comment; strings keep what looks like one."""
    (tmp_path / "e.json").write_text(
        """// config/mine.json
        { # one network
          "network": ["DummyT2I", "DummyI2T",],
          "prompts": ["a // b, ]", "c \\" /* d */ #", /* two
          lines */],
          "seeds": [-1167030881, -9223372036854775808], "embedding_models": ["DummyText"],
          "max_length": 4,
        }
        """
    )
    experiment = load_experiment(tmp_path / "e.json")
    assert [network.models for network in experiment.networks] == [("DummyT2I", "DummyI2T")]
    assert [prompt.text for prompt in experiment.prompts] == ["a // b, ]", 'c " /* d */ #']
    assert experiment.seeds == (-1167030881, -(2**63))


def test_json_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text('{ // a comment\n  "prompts": [,"a"],\n  "seeds": [1,] }')
    (problem,) = problems_of(tmp_path / "e.json")
    assert "line 2 column 15" in problem


@pytest.mark.parametrize(
    "text", ['{"a": "' + '\\"' * 200_000, "{" + "/*" * 200_000, "{" + "," * 10**6]
)
def test_json_without_an_end_is_read_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "e.json").write_text(text)
    with pytest.raises(ConfigError, match="does not parse"):
        load_experiment(tmp_path / "e.json")


@pytest.mark.parametrize(
    ("right", "misspelt"), [("networks", "netwroks"), ("max_length", "max_lenght")]
)
def test_one_error_is_not_followed_by_its_consequences(
    experiment_file: ExperimentFile, right: str, misspelt: str
) -> None:
    path = experiment_file(models={"DummyT2I": {"batch_size": 2}})
    path.write_text(path.read_text().replace(f'"{right}"', f'"{misspelt}"'))
    assert problems_of(path) == (f"{misspelt}: unknown key. Did you mean '{right}'?",)


def test_a_network_is_given_once(experiment_file: ExperimentFile) -> None:
    path = experiment_file(network=["DummyT2I", "DummyI2T"])
    assert problems_of(path) == ("network and networks: only one of them can be given",)


def test_models_may_lie_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "mine.toml").write_text(
        '[DummyT2I]\nbatch_size = 2\n[Elsewhere]\nfamily = "nobody"\n[Mine]\npath = "w"\n'
        "[DummyI2T]\nmax_words = 5\n"
    )
    text = WRITTEN.replace("max_length", 'models_file = "rows/mine.toml"\nmax_length')
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"models\.DummyT2I: in rows/mine\.toml too; keep one"):
        load_experiment(tmp_path / "e.toml")
    text = text.replace("[models.DummyT2I]\nbatch_size = 8", "")
    (tmp_path / "e.toml").write_text(text)
    used = {"DummyT2I": {"batch_size": 2}, "DummyI2T": {"max_words": 5}}
    assert load_experiment(tmp_path / "e.toml").models == used
    (tmp_path / "rows" / "mine.toml").write_text("DummyT2I = 3")
    (problem,) = problems_of(tmp_path / "e.toml")
    assert "DummyT2I = 3: a table was expected" in problem


def test_what_is_missing_is_named_with_an_example(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text("")
    problems = problems_of(tmp_path / "e.toml")
    assert [problem.split(" is missing: ")[0] for problem in problems] == [
        "networks", "prompts", "max_length",
    ]  # fmt: skip


def test_a_thousand_problems_fit_on_a_screen(experiment_file: ExperimentFile) -> None:
    problems = problems_of(experiment_file(prompts=[""] * 1000))
    assert problems[-1] == "… and 950 more"
    assert len(problems) == 51


NOT_EXPERIMENTS = {
    "binary": bytes(range(256)),
    "latin-1": "prompts = ['ünïcödé']".encode("latin-1"),
    "nul": b'name = "a\0b"',
    "half": b'{"networks": [["A", "B"]',
    "list": b"[1, 2]",
    "text": b'"networks"',
    "deep list": b'{"a":' + b"[" * 200_000,
    "deep table": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "rather deep": b'{"models": ' + b'{"a":' * 40 + b"1" + b"}" * 41,
    "twice": b'{"max_length": 1, "max_length": 2}',
    "huge number": b'{"max_length": ' + b"9" * 5000 + b"}",
    "nan": b'{"max_length": NaN}',
}


@pytest.mark.parametrize("name", NOT_EXPERIMENTS)
@pytest.mark.parametrize("ending", ["json", "toml"])
def test_files_that_hold_no_experiment(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / f"e.{ending}"
    path.write_bytes(NOT_EXPERIMENTS[name])
    assert problems_of(path)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("deep list", "nested absurdly deep"),
        ("rather deep", "nested more than 16 deep"),
        ("twice", "the key 'max_length' is there twice"),
        ("latin-1", "not UTF-8 text"),
        ("nul", "binary"),
        ("list", "a table of keys and values was expected"),
    ],
)
def test_files_that_hold_no_experiment_are_told_apart(
    tmp_path: Path, name: str, problem: str
) -> None:
    path = tmp_path / "e.json"
    path.write_bytes(NOT_EXPERIMENTS[name])
    (told,) = problems_of(path)
    assert problem in told


def test_a_huge_hexadecimal_number_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(f"max_length = 0x{'f' * 9000}")
    assert any("thousands of digits" in problem for problem in problems_of(path))


@pytest.mark.parametrize("key", ["a." * 40_000 + "a = 1", '"a".' * 40_000 + "a = 1"])
def test_a_file_that_would_take_minutes_to_parse_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "e.toml"
    path.write_text(key)
    assert any("dotted key" in problem for problem in problems_of(path))


def test_prose_is_not_taken_for_a_dotted_key(experiment_file: ExperimentFile) -> None:
    prompt = "One word. Then two. " * 200 + "www.example.org/a.b.c... !"
    assert load_experiment(experiment_file(prompts=[prompt])).prompts[0].text == prompt


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == ("not a file",)
    assert problems_of(tmp_path / "nothing.toml") == ("does not exist",)
    assert problems_of(Path("a\0b.toml"))
    os.mkfifo(tmp_path / "pipe.toml")
    assert problems_of(tmp_path / "pipe.toml") == ("not a file",)


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    with path.open("wb") as stream:
        stream.truncate(2**32)
    assert problems_of(path) == ("larger than 64 MiB",)


def test_numbers_in_a_models_table_are_finite(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(WRITTEN + "size = inf\n")
    assert any("numbers must be finite" in problem for problem in problems_of(path))


def test_a_models_path_is_read_from_where_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(WRITTEN + '[models.DummyI2T]\npath = "weights"\n')
    tables = load_experiment(path).models
    assert tables["DummyI2T"]["path"] == str(tmp_path / "weights")


def test_the_home_of_nobody_is_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(WRITTEN + '[models.DummyI2T]\npath = "~nobody-of-this-name/w"\n')
    assert load_experiment(path).models["DummyI2T"]["path"].endswith("/~nobody-of-this-name/w")
    path.write_text('prompts_file = "~nobody-of-this-name/p.txt"\n')
    assert any("p.txt': does not exist" in problem for problem in problems_of(path))


def test_prompts_come_from_a_file_beside_the_experiment(
    experiment_file: ExperimentFile, tmp_path: Path
) -> None:
    (tmp_path / "prompts.txt").write_text("a red fox\na blue boat\n")
    in_a_file = load_experiment(experiment_file("f.json", prompts=None, prompts_file="prompts.txt"))
    assert in_a_file == load_experiment(experiment_file())


def test_a_missing_prompts_file_is_one_problem(experiment_file: ExperimentFile) -> None:
    path = experiment_file(prompts=None, prompts_file="nothing.txt")
    assert problems_of(path) == ("prompts_file = 'nothing.txt': does not exist",)


def test_prompts_are_given_once(experiment_file: ExperimentFile) -> None:
    assert problems_of(experiment_file(prompts_file="p.txt")) == (
        "prompts and prompts_file: only one of them can be given",
    )


def test_depth_is_counted_without_recursion() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert depth_exceeds(value, 16)
    assert not depth_exceeds({"a": [{"b": 1}]}, 3)
    assert depth_exceeds({"a": [{"b": []}]}, 3)


# A parser's worst day: keys that are right, values that are anything.
_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["DummyT2I", "DummyI2T", "DummyText", "FluxDev", "fixed", "per_step", "[b]x"]),
)  # fmt: skip
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["models", "noise", "text", "group", "path", "family"]),
                      st.text(max_size=5)),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)  # fmt: skip
_tables = st.dictionaries(
    st.one_of(st.sampled_from([*Experiment.model_fields, "prompts_file"]), st.text(max_size=5)),
    _values,
    max_size=8,
)
_texts = st.text(max_size=200)
_in_one_file = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def plans_or_refuses(path: Path) -> None:
    try:
        plan_file(path, catalogue.load())
    except PanicError as refusal:
        str(refusal).encode()


@_in_one_file
@given(_tables)
def test_no_table_ends_in_a_traceback(tmp_path: Path, table: dict[str, Any]) -> None:
    path = tmp_path / "fuzz.json"
    path.write_text(json.dumps(table))
    plans_or_refuses(path)


@_in_one_file
@given(st.sampled_from(sorted(Experiment.model_fields)), _values)
def test_no_value_in_a_valid_experiment_ends_in_a_traceback(
    experiment_file: ExperimentFile, key: str, value: Any
) -> None:
    plans_or_refuses(experiment_file(**{key: value}))


@_in_one_file
@given(st.one_of(st.binary(max_size=200), _texts.map(_encoded)))
@example(b"\xff\xfe")
@example(b"[[]]")
@example(b"a = {")
@example(b'{"": {"": ""}}')
def test_no_bytes_end_in_a_traceback(tmp_path: Path, content: bytes) -> None:
    for ending in ("toml", "json"):
        path = tmp_path / f"fuzz.{ending}"
        path.write_bytes(content)
        plans_or_refuses(path)


@_in_one_file
@given(st.lists(st.tuples(st.integers(0, len(WRITTEN)), st.characters()), max_size=3))
def test_no_slip_of_the_pen_ends_in_a_traceback(
    tmp_path: Path, slips: list[tuple[int, str]]
) -> None:
    text = WRITTEN
    for position, character in slips:
        text = text[:position] + character + text[position + 1 :]
    path = tmp_path / "fuzz.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    plans_or_refuses(path)
