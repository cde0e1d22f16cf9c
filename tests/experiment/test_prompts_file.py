"""Files of prompts: three forms, each with the ways it can be wrong."""

from pathlib import Path

import pytest

from panic_hpc.errors import ConfigError
from panic_hpc.experiment.prompts_file import read_prompts


def read(tmp_path: Path, name: str, text: str) -> list[object]:
    (tmp_path / name).write_bytes(text.encode())
    return read_prompts(tmp_path, name)


def test_a_text_file_has_a_prompt_a_line(tmp_path: Path) -> None:
    text = 'a red fox\r\n\n  a blue boat  \nan apple, "ripe" # not a comment'
    assert read(tmp_path, "p.txt", text) == [
        "a red fox", "a blue boat", 'an apple, "ripe" # not a comment',
    ]  # fmt: skip


def test_only_editors_line_ends_end_a_line(tmp_path: Path) -> None:
    assert read(tmp_path, "p.txt", "one\x0btwo\u2028three\x85four\n") == [
        "one\x0btwo\u2028three\x85four"
    ]


def test_a_table_has_texts_and_groups(tmp_path: Path) -> None:
    text = 'group,text\nfoxes,"a red, ""quick"" fox\nin two lines"\n,a blue boat\n'
    assert read(tmp_path, "p.csv", text) == [
        {"group": "foxes", "text": 'a red, "quick" fox\nin two lines'},
        {"group": "", "text": "a blue boat"},
    ]


def test_json_lines_are_texts_or_tables(tmp_path: Path) -> None:
    text = '"a red fox"\n\n{"text": "a blue boat", "group": "b"}\n'
    assert read(tmp_path, "p.JSONL", text) == ["a red fox", {"text": "a blue boat", "group": "b"}]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("p.csv", "prompt\na\n", "must name a column text"),
        ("p.csv", "", "must name a column text"),
        ("p.csv", "text,colour\na,b\n", "unknown column 'colour'"),
        ("p.csv", "text,group\na,b,c\n", "line 2 has another number of columns"),
        ("p.csv", "text,text\na,b\n", "names a column twice"),
        ("p.csv", "text,group\na\n", "line 2 has another number of columns"),
        ("p.csv", 'text\n"unfinished\n', "unexpected end of data"),
        ("p.jsonl", '"a"\n{"text": \n', "line 2 is not JSON"),
        ("p.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("p.txt", "a\0b", "binary"),
        ("p.md", "a", "ends in .txt, .csv, .jsonl"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, name, text)
    assert problem in caught.value.problems[0]


def test_a_name_is_a_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_prompts(tmp_path, ["p.txt"])
