"""Take each safeguard of tests/faults/safeguards.toml out and see that the test it names fails.

    tools/checks/try_safeguards.py [PART OF WHAT IT KEEPS…]

Nothing in the working tree is changed: a sitecustomize.py in a temporary folder gives every Python
that the test starts the module without the safeguard. Prints the table of docs/reliability.md;
ends with 1 where a test passed all the same.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests/faults/safeguards.toml"

# In the file and not in a variable, since tests clear some of those that they find.
SITECUSTOMIZE = """
import importlib.machinery, sys

name, place, source, without = {told}

class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        text = self.get_data(place).decode()
        assert text.count(source) == 1
        return compile(text.replace(source, without), place, "exec")

class Finder:
    def find_spec(self, fullname, path, target=None):
        if fullname != name:
            return None
        return importlib.machinery.ModuleSpec(fullname, Loader(fullname, place), origin=place)

sys.meta_path.insert(0, Finder())
"""


@dataclass(frozen=True)
class Safeguard:
    """What a safeguard keeps, where it is, what stands there without it, and which test fails."""

    keeps: str
    file: str
    source: str
    without: str
    test: str

    @property
    def is_found(self) -> bool:
        """Whether its source is there, once."""
        return (ROOT / self.file).read_text().count(self.source) == 1


def safeguards() -> list[Safeguard]:
    """Return the table."""
    return [Safeguard(**row) for row in tomllib.loads(TABLE.read_text())["safeguard"]]


def markdown(rows: list[Safeguard]) -> str:
    """Return the table as the document has it."""
    lines = ["| keeps | in | the test that fails without it |", "|---|---|---|"]
    for one in rows:
        file = one.file.removeprefix("panic_hpc/")
        test = one.test.removeprefix("tests/").replace(".py::test_", ": ").replace("_", " ")
        lines.append(f"| {one.keeps} | `{file}` | {test} |")
    return "\n".join(lines)


def fails_without(safeguard: Safeguard) -> bool:
    """Run the test without the safeguard; return whether it failed, as it should."""
    with tempfile.TemporaryDirectory() as folder:
        module = safeguard.file.removesuffix(".py").replace("/", ".")
        told = [module, str(ROOT / safeguard.file), safeguard.source, safeguard.without]
        Path(folder, "sitecustomize.py").write_text(SITECUSTOMIZE.format(told=told))
        environment = {**os.environ, "PYTHONPATH": folder}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, safeguard.test],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"{safeguard.test} could not be run:\n{done.stdout}{done.stderr}")
    return done.returncode == 1


def wanted(parts: list[str]) -> Iterator[Safeguard]:
    """Yield the safeguards whose words have one of `parts`; all where there are none."""
    return (one for one in safeguards() if not parts or any(part in one.keeps for part in parts))


def main() -> int:
    """Try what is wanted; return how many tests did not notice."""
    unnoticed = 0
    for one in wanted(sys.argv[1:]):
        failed = fails_without(one)
        unnoticed += not failed
        print(f"{'caught' if failed else 'NOT CAUGHT'}: {one.keeps}: {one.test}", flush=True)
    print(f"{unnoticed} safeguards can be taken out unnoticed")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
