"""Where users stand: streams that are closed, and limits of the shell that are met."""

import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from little_experiment import command_line, plan_little

import panic_hpc
from panic_hpc import cli
from panic_hpc.workspace.workspace import open_workspace


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment, which nobody writes to."""
    root = plan_little(tmp_path_factory.mktemp("done") / "EXP", runs_per_shard=3, max_length=4)
    request = panic_hpc.request_for("local", executor="inline")
    panic_hpc.submit(open_workspace(root), request, wait=True)
    return root


def closing(*numbers: int) -> Callable[[], None]:
    """Return what closes streams between fork and exec, as `>&-` does."""

    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


def run(
    *arguments: str | Path, before: Callable[[], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a verb as the shell would after `before`."""
    return subprocess.run(
        command_line(*arguments),
        capture_output=True, text=True, check=False, timeout=240,
        preexec_fn=before,
    )  # fmt: skip


@pytest.mark.parametrize("numbers", [(1,), (0, 1, 2)])
def test_a_closed_stream_is_no_error_and_no_file_takes_its_number(
    done: Path, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    ended = run("status", done, "--json", before=closing(*numbers))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not ended.stdout if 1 in numbers else json.loads(ended.stdout)
    # What C libraries print to standard output would go into a file of that number.
    copy = tmp_path / "copy.h5"
    assert run("merge", done, "-o", copy, "--json", before=closing(*numbers)).returncode == 0
    with panic_hpc.open(copy) as made, panic_hpc.open(done / "dataset.h5") as whole:
        assert made.content_key == whole.content_key


def test_a_shell_with_little_memory_still_checks_files_of_strangers(done: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))

    ended = run("verify", done / "dataset.h5", "--untrusted", "--json", before=limit)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)[0]["findings"] == []


def test_no_memory_left_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def taken(*arguments: object, **options: object) -> None:
        raise MemoryError("realloc of size 256 failed")

    monkeypatch.setattr("sys.argv", ["panic-hpc", "verify", "x.h5"])
    monkeypatch.setattr("panic_hpc.store.checks.verify.verify_file", taken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = "panic-hpc: no memory is left (realloc of size 256 failed). Give it more, then"
    assert (ended.value.code, capsys.readouterr().err.startswith(told)) == (1, True)
