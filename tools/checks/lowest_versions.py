"""Print constraints for pip: the lowest version that pyproject.toml allows of each dependency.

    python tools/checks/lowest_versions.py > lowest.txt
    pip install --constraint lowest.txt '.[compute]'
    python tools/checks/lowest_versions.py --tests    the tests that a version can change

`make test-lowest` runs these tests with these versions: every bound was seen to pass them.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?\s*>=\s*(?P<version>[\w.]+)")

TESTS: dict[str, tuple[str, ...]] = {
    "tests/experiment/test_config.py": ("pydantic",),
    "tests/clusters/test_profiles.py": ("pydantic",),
    "tests/store/test_shard.py": ("numpy", "h5py"),
    "tests/store/test_hdf5_description.py": ("h5py", "xarray", "h5netcdf"),
    "tests/store/test_dataset.py": ("numpy", "polars", "pandas"),
    "tests/store/test_exports.py": ("polars", "pyarrow", "duckdb", "rocrate", "packaging"),
    "tests/analysis/estimators/test_hazards.py": ("statsmodels",),
    "tests/store/test_decodability.py": ("pillow",),
    "tests/cli/test_help.py": ("typer", "rich"),
    "tests/cli/test_planning_verbs.py": ("typer", "rich"),
    "tests/backends/test_local_backend.py": ("submitit",),
    "tests/merging/test_merge_mpi.py": ("mpi4py", "mpich"),
    "tests/merging/test_layout.py": ("hypothesis",),
    "tests/models/hub/test_fetching.py": ("huggingface-hub",),
    "tests/models/families/test_generic_families.py": (
        *("torch", "diffusers", "transformers", "sentence-transformers", "accelerate"),
        "safetensors",
    ),
    "tests/models/families/test_what_is_refused.py": ("diffusers", "transformers"),
    "tests/models/test_microworld_weights.py": ("torch", "transformers"),
    "tests/stages/test_diagrams.py": ("numpy", "gudhi"),
    "tests/homology/test_oracles.py": ("gudhi", "giotto-ph", "scikit-learn"),
    "tests/homology/test_small_modules.py": ("persim",),
    "tests/analysis/test_running.py": ("polars", "threadpoolctl"),
    "tests/analysis/estimators/shape/test_clouds.py": ("scikit-learn",),
    "tests/analysis/estimators/similarity/test_attraction.py": ("scipy",),
    "tests/report/test_pictures.py": ("matplotlib",),
    "tests/report/test_report.py": ("matplotlib", "jinja2", "polars"),
    "tests/report/test_video.py": ("av",),
    "tests/report/test_family_tree.py": ("networkx",),
    "tests/report/test_tensorboard.py": ("tensorboardX",),
    "tests/search/test_search.py": ("optuna",),
    "tests/store/test_croissant.py": ("mlcroissant",),
    "tests/worker/test_energy.py": ("nvidia-ml-py",),
    "tests/faults/test_simulated_world.py": ("greenlet",),
}
"""Files of tests, and the dependencies whose every use by this package they go through.

The other tests ask the same calls of a library again, or none; the whole suite takes these versions
half an hour. Whoever calls another part of a library adds the file that tests it.
"""

UNTESTED = {
    **{name: "no test imports it: a program that is called" for name in ("mypy", "pre-commit")},
    **{name: "a program that is called, or what calls the tests" for name in ("ruff", "pytest")},
    **{f"pytest-{name}": "calls the tests" for name in ("cov", "timeout", "xdist")},
    **{name: "of models whose weights no test has" for name in ("torchvision", "timm")},
    "num2words": "of models whose weights no test has",
    **{name: "builds this package" for name in ("scikit-build-core", "nanobind")},
    **{name: "builds the documents" for name in ("mkdocs-material", "mkdocstrings-python")},
}
"""Dependencies that no file of TESTS is for, and why."""


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
    """Print the constraints, sorted, or with --tests the files of tests."""
    if sys.argv[1:] == ["--tests"]:
        print(*TESTS)
        return
    for name, version in sorted(lowest_versions(tomllib.loads(PYPROJECT.read_text())).items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
