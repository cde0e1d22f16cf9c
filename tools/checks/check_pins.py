"""Say which pins of constraints.txt the oldest Python that pyproject.toml allows cannot install.

    python tools/checks/check_pins.py          exit code 1 where there are any

A pin is judged by the metadata of what is installed under it, so it is run where everything is: by
the tests, and by `make docs` once the packages of the documents are there. A newer Python installs
such a pin without a word, and Debian's then ends in "no matching distribution".
"""

import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]


def oldest_python(requires: str) -> str:
    """Return the lower bound of a `requires-python`, as a whole version."""
    [bound] = [one.version for one in SpecifierSet(requires) if one.operator == ">="]
    return f"{bound}.0" if bound.count(".") == 1 else bound


def pins(text: str) -> dict[str, str]:
    """Return {distribution: version} of a file of constraints."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return dict(line.split("==", 1) for line in lines if "==" in line)


def refused(pinned: dict[str, str], python: str) -> Iterator[str]:
    """Yield a sentence for each pin, installed as it says, that `python` cannot install."""
    for name, version in pinned.items():
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        asked = about["Requires-Python"] or ""
        if about["Version"] == version and python not in SpecifierSet(asked, prereleases=True):
            yield f"{name}=={version} asks for Python {asked}"


def main() -> None:
    """Print what is wrong."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = oldest_python(project["requires-python"])
    wrong = list(refused(pins((ROOT / "constraints.txt").read_text()), python))
    for line in wrong:
        print(f"constraints.txt: {line}, and pyproject.toml allows {python}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
