"""The documents as files: lines that fit a terminal and a diff, links that lead somewhere."""

import re
from pathlib import Path

import pytest
import wrap_documents

from panic_hpc import installed

ROOT = Path(__file__).parents[2]
DOCUMENTS = [str(path.relative_to(ROOT)) for path in wrap_documents.documents()]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_prose_has_at_most_100_columns(name: str) -> None:
    lines = wrap_documents.long_lines((ROOT / name).read_text())
    assert not lines, f"{name}, lines {lines}: python tools/documents/wrap_documents.py"


@pytest.mark.parametrize("name", [*DOCUMENTS, "DESIGN.md"])
def test_links_lead_to_files(name: str) -> None:
    document = ROOT / name
    missing = [
        to for to in LINK.findall(document.read_text()) if not (document.parent / to).exists()
    ]
    assert not missing


LONG = "word " * 40
KEPT = (f"    {LONG}", f"| {LONG} |", f"```\n{LONG}\n```")
SPAN = f"`{LONG}`"


def test_wrapping_leaves_code_and_tables_and_changes_no_word() -> None:
    text = "\n\n".join(["# Head", LONG, *KEPT, f"- {LONG}{SPAN}\n  {LONG}"]) + "\n"
    wrapped = wrap_documents.wrapped(text)
    assert wrapped.split() == text.split()
    assert wrap_documents.long_lines(text) == [3, 13, 14]
    assert all(kept in wrapped for kept in (*KEPT, SPAN))


def test_wrapping_makes_no_list_of_a_sentence() -> None:
    wrapped = wrap_documents.wrapped(f"{'x' * 96} - and 1. more\n" * 2)
    assert len(wrapped.splitlines()) > 2
    assert not re.search(r"^(-|1\.)", wrapped, re.MULTILINE)


SAID = re.compile(r"`([^`]+)`")


def test_messages_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    texts = (path.read_text() for path in (ROOT / "panic_hpc").rglob("*.py"))
    # Neighbouring literals are one message.
    source = re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts))
    rows = (ROOT / "docs" / "troubleshooting.md").read_text().splitlines()
    said = [text for row in rows if row.startswith("|") for text in SAID.findall(row.split("|")[1])]
    parts = [part.strip(" :(,") for text in said for part in re.split(r"…|\b[XY]\b", text)]
    assert [part for part in parts if len(part) > 6 and part not in source] == []


def test_each_registered_analysis_has_its_rows_and_the_tests_named_there_exist() -> None:
    """Two tables: what an analysis estimates and by which test, and its null, source and rates."""
    text = Path("docs/analyses.md").read_text(encoding="utf-8")
    tests = {path.name for path in Path("tests").rglob("test_*.py")}
    for heading in ("## Registered", "## Nulls, sources and what was measured"):
        table = text.split(heading)[1].split("\n## ")[0]
        rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
        named = [row[0].strip("| `") for row in rows if not row[0].startswith("| `network`")]
        missing = set(installed.plugins("analyses")) - set(named)
        assert not missing, f"{heading} has no row of {missing}"
        for row in rows:
            assert set(re.findall(r"`(test_\w+\.py)`", row[-1])) <= tests, row[0]
