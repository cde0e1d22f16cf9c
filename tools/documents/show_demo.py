"""Run the demo and put what it shows into the README: its words, and its contact sheet in docs.

python tools/documents/show_demo.py
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "demo.png"
SHOWN = re.compile(r"(<!-- begin demo -->\n).*?(<!-- end demo -->)", re.DOTALL)


def run_demo(folder: Path) -> str:
    """Return what `panic-hpc demo` prints to a terminal of 80 columns, run in `folder`."""
    command = [str(Path(sys.executable).parent / "panic-hpc"), "demo"]
    environ = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        command, cwd=folder, env=environ, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.replace(f"{folder}/", "")


def show(readme: str, output: str) -> str:
    """Return the README with `output` between its markers; pure."""
    lines = "\n".join(line.rstrip() for line in output.splitlines())
    return SHOWN.sub(lambda shown: f"{shown[1]}```text\n{lines}\n```\n{shown[2]}", readme)


def main() -> None:
    """Run the demo in a folder of its own and write both files."""
    with tempfile.TemporaryDirectory() as folder:
        output = run_demo(Path(folder))
        shutil.copyfile(Path(folder) / "demo" / "report" / "contact_sheet.png", PICTURE)
    README.write_text(show(README.read_text(), output))


if __name__ == "__main__":
    main()
