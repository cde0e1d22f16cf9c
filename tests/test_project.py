"""The project's own scripts: what tests need is installed, bounds are read, the README is kept."""

import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import check_pins
import lowest_versions
import needs
import pytest
import show_demo

ROOT = Path(__file__).parents[1]
INSTALL = ROOT / "tests" / "install-system"


def pyproject(*dependencies: str) -> dict[str, Any]:
    project = {"dependencies": list(dependencies), "optional-dependencies": {"more": ["b>=2.1"]}}
    return {"build-system": {"requires": ["builder>=1"]}, "project": project}


def test_what_markers_name_is_installed_by_make_test() -> None:
    script = INSTALL.read_text()
    assert all(f'"{name} ' in script for name in needs.PACKAGES)
    assert all(package in script for package in needs.PACKAGES.values())


def test_what_is_missing_is_said_in_a_line_each(tmp_path: Path) -> None:
    """A machine with a shell and nothing else: no apt-get, so nothing is installed either."""
    for tool in ("dirname", "id", "mktemp", "rm", "strace"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    done = subprocess.run(
        ["/bin/bash", str(INSTALL)], env={"PATH": str(tmp_path)}, text=True, capture_output=True,
        check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert all("neither Debian nor Ubuntu" in line for line in lines)
    assert any("sanitizers (needs g++;" in line for line in lines)
    assert not any("strace" in line for line in lines)


def test_bounds_are_read_from_everywhere() -> None:
    found = lowest_versions.lowest_versions(pyproject("a[x]>=1.5; python_version < '3.13'"))
    assert found == {"builder": "1", "a": "1.5", "b": "2.1"}


@pytest.mark.parametrize("dependency", ["a", "a==1", "b>=3"])
def test_a_dependency_without_one_lower_bound_is_refused(dependency: str) -> None:
    with pytest.raises(ValueError, match=dependency[0]):
        lowest_versions.lowest_versions(pyproject(dependency))


def test_every_dependency_of_this_project_has_a_bound() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert lowest_versions.lowest_versions(table)["torch"] == "2.13"


def test_every_dependency_is_tested_with_its_lowest_version_or_it_is_said_why_not() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tested = {name for names in lowest_versions.TESTS.values() for name in names}
    assert tested | lowest_versions.UNTESTED.keys() == lowest_versions.lowest_versions(table).keys()
    assert all((ROOT / file).is_file() for file in lowest_versions.TESTS)


def test_what_is_pinned_can_be_installed_by_the_oldest_python() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = check_pins.oldest_python(about["requires-python"])
    pinned = check_pins.pins((ROOT / "constraints.txt").read_text())
    assert list(check_pins.refused(pinned, oldest)) == []
    installed = {"pytest": metadata.version("pytest"), "ghost": "1.0"}
    assert list(check_pins.refused(installed, "3.2.0")) == [
        f"pytest=={installed['pytest']} asks for Python "
        f"{metadata.metadata('pytest')['Requires-Python']}"
    ]


def test_the_demo_is_shown_between_its_markers() -> None:
    readme = "before\n<!-- begin demo -->\nold\n<!-- end demo -->\nafter\n"
    shown = show_demo.show(readme, "a \\1 line  \nanother\n")
    block = "```text\na \\1 line\nanother\n```"
    assert shown == f"before\n<!-- begin demo -->\n{block}\n<!-- end demo -->\nafter\n"
    assert show_demo.SHOWN.search((ROOT / "README.md").read_text())
