"""Workers that wait in the middle of a shard until a test has done what it does to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from little_experiment import with_folders


class Gate:
    """A gate at which slow models wait: closed at first; see `gated/sitecustomize.py`."""

    def __init__(self, file: Path, patch: pytest.MonkeyPatch) -> None:
        self.file, self._patch = file, patch
        self.let_through(6)

    def let_through(self, n_calls: int) -> None:
        """Let that many calls of each process pass that is started from now on.

        Three of a run may be unrecorded: of twelve steps of one batch six are to pass.
        """
        self._patch.setenv("GATE", f"{n_calls} {self.file}")

    def open(self) -> None:
        """Let all go on that wait, and whoever comes."""
        self.file.touch()

    def close(self) -> None:
        """Let those wait that come from now on."""
        self.file.unlink()


@pytest.fixture
def gate(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gate]:
    """A closed gate for every process that is started from here; it opens after the test."""
    made = Gate(tmp_path_factory.mktemp("gate") / "open", monkeypatch)
    folder = Path(__file__).with_name("gated")
    monkeypatch.setenv("PYTHONPATH", with_folders(folder)["PYTHONPATH"])
    yield made
    made.open()
