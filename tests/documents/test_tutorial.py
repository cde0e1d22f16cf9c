"""docs/tutorial.md is typed from its first line to its last."""

from pathlib import Path

import documents
import pytest

pytestmark = [pytest.mark.compute, pytest.mark.native]


def test_the_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    documents.write_files("tutorial.md", tmp_path)
    for command in documents.commands("tutorial.md"):
        documents.run(command, tmp_path)
    assert list((tmp_path / "pictures").rglob("*.webp"))
    assert (tmp_path / "tables" / "runs.parquet").exists()
