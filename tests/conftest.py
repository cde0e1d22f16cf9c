"""What tests of several parts start from: a small valid experiment, written and changed at will."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import pytest
from hypothesis import HealthCheck, settings

SMALL: dict[str, Any] = {
    "networks": [["DummyT2I", "DummyI2T"]],
    "prompts": ["a red fox", "a blue boat"],
    "seeds": [1, 2],
    "embedding_models": ["DummyText"],
    "max_length": 10,
}

# Before anything imports numpy or torch, and for every process that a test starts: what workers set
# for themselves. Threads of several processes on two cores wait for each other by spinning, which
# made some tests of models twenty times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, however long each takes: a run of CI is to fail by what was changed
# and not by what was drawn. `make test-long` draws others (--hypothesis-profile others).
settings.register_profile("others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("others"), derandomize=True)
settings.load_profile("same")


def pytest_configure() -> None:
    """Let Ctrl-C mean what it means in a terminal: what a script starts with & ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--part K/N`: of all tests every N-th only, so that N days of CI run all long ones."""
    parser.addoption(
        "--part", metavar="K/N", default="1/1", help="run every N-th test from the K-th"
    )


LONGEST = (
    "test_nodes",
    "test_failing_calls",
    "test_troubles",
    "test_pipeline",
    "test_local_backend",
    "test_merge_ranks",
    "test_killed_at_random",
    "test_same_bits",
    "test_models",
    "test_tutorial",
    "test_answering",
    "test_extending",
    "test_compiled_pipelines",
    "test_hostile_databases",
    "test_bench_gpu",
    "test_lost_gpu",
    "test_api",
    "test_fetching",
    "test_pure_install",
)
"""The files of tests that take longest; those of a real Slurm, which wait, between others."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files: each is one process's, and none is to begin when others end."""
    part, n_parts = map(int, config.getoption("part").split("/"))
    config.hook.pytest_deselected(
        items=[item for place, item in enumerate(items) if place % n_parts != part - 1]
    )
    items[:] = items[part - 1 :: n_parts]
    rank = {stem: place for place, stem in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine lacks the means for, before any fixture tries to start them."""
    if missing := needs.lacking(item):
        pytest.skip(missing)


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Print how many faults were injected, by kind, and how many tests of them failed."""
    reports = [one for key in ("passed", "failed") for one in terminalreporter.stats.get(key, [])]
    counts: Counter[str] = Counter()
    wrong = 0
    for report in reports:
        found = [value for name, value in report.user_properties if name == "injected"]
        wrong += bool(found) and report.failed
        counts.update({kind: number for kind, number in found})
    if counts:
        terminalreporter.section("faults injected")
        for kind, number in sorted(counts.items()):
            terminalreporter.write_line(f"{number:8d}  {kind}")
        terminalreporter.write_line(f"{counts.total():8d}  in all; {wrong} tests of them failed")


@pytest.fixture
def small() -> dict[str, Any]:
    """The keys of a valid experiment of arithmetic models, as a fresh table."""
    return json.loads(json.dumps(SMALL))


@pytest.fixture
def experiment_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the small experiment with some keys changed (None leaves one out); return the file."""

    def write(file: str = "small.json", **changes: Any) -> Path:
        table = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
        path = tmp_path / file
        path.write_text(json.dumps(table))
        return path

    return write
