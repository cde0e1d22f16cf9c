"""Documents that are run: the files they show, and the commands with what those print."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "docs"
_FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_CONSOLE = re.compile(r"<!-- run(: captions may differ)? -->\n```console\n(.*?)```", re.DOTALL)


class Command(NamedTuple):
    """A command, the lines that the document shows below it, and whether these may differ."""

    words: list[str]
    shown: list[str]
    may_differ: bool


def write_files(document: str, folder: Path) -> None:
    """Write the files that a document shows."""
    for name, content in _FILE.findall((FOLDER / document).read_text()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def commands(document: str) -> list[Command]:
    """Return the commands of a document in order."""
    found = []
    for differs, block in _CONSOLE.findall((FOLDER / document).read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *shown = part.splitlines()
            found.append(Command(shlex.split(first), shown, bool(differs)))
    return found


def run(command: Command, folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Run a command in `folder` with this interpreter, require what is shown, return the output."""
    program, *arguments = command.words
    start = {"panic-hpc": ["-m", "panic_hpc"], "python": []}[program]
    done = subprocess.run(
        [sys.executable, *start, *arguments], cwd=folder, env={**environ, "COLUMNS": "80"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    printed = [_plain(line) for line in (done.stdout + done.stderr).splitlines()]
    if not command.may_differ:
        assert [line for line in command.shown if _plain(line) not in printed] == []
    return done.stdout


def _plain(line: str) -> str:
    """Return a line without what differs between machines: keys, and spaces at its end."""
    return re.sub(r"\b[0-9a-f]{32}\b", "KEY", line).rstrip()
