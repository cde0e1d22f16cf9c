"""Print constraints for pip: the lowest version that pyproject.toml allows of each dependency.

    python tools/lowest_versions.py > lowest.txt && pip install --constraint lowest.txt '.[compute]'

`make test-lowest` runs the tests with these: every bound is a version that was seen to pass.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?\s*>=\s*(?P<version>[\w.]+)")


def lowest_versions(pyproject: dict[str, Any]) -> dict[str, str]:
    """Return {distribution: its lowest version}, those for building and of all extras included.

    Raises ValueError where a dependency has no lower bound, or two that differ.
    """
    project = pyproject["project"]
    extras = [entry for extra in project["optional-dependencies"].values() for entry in extra]
    found: dict[str, str] = {}
    for entry in [*pyproject["build-system"]["requires"], *project["dependencies"], *extras]:
        bound = BOUND.match(entry)
        if bound is None:
            raise ValueError(f"{entry}: no lower bound")
        version = found.setdefault(bound["name"], bound["version"])
        if version != bound["version"]:
            raise ValueError(f"{bound['name']}: {version} here and {bound['version']} there")
    return found


def main() -> None:
    """Print the constraints, sorted."""
    for name, version in sorted(lowest_versions(tomllib.loads(PYPROJECT.read_text())).items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
