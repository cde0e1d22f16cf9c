"""Ctrl-C at any moment ends a command in one line and with its own exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from panic_hpc import exit_codes

# A command that interrupts itself, at the first import of a module or call of a function.
INTERRUPTED = """
import os, signal, sys
_, moment, name, *sys.argv[1:] = sys.argv
sys.argv[0] = "panic-hpc"
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
class Finder:
    def find_spec(self, found, path, target=None):
        if moment == "import" and found == name:
            interrupt()
def called(frame, event, argument):
    if event == "call" and frame.f_code.co_name == name:
        sys.setprofile(None)
        interrupt()
sys.meta_path.insert(0, Finder())
from panic_hpc.__main__ import main
if moment == "call":
    sys.setprofile(called)
main()
"""


@pytest.mark.parametrize(
    ("moment", "name", "verb"),
    [
        ("import", "panic_hpc.cli", "verify"),
        ("import", "typer", "verify"),
        ("import", "panic_hpc.cli.datasets.verify", "verify"),
        ("import", "h5py", "verify"),
        ("import", "numpy", "simulate"),
        ("call", "verify_file", "verify"),
        ("call", "write_dataset", "simulate"),
        ("call", "_leave_at_once_from_now_on", "--version"),
    ],
)
def test_an_interrupted_command_says_so_in_one_line(
    tmp_path: Path, moment: str, name: str, verb: str
) -> None:
    (tmp_path / "file.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(4096))
    arguments = [verb] if verb == "--version" else [verb, tmp_path / "file.h5"]
    arguments += ["--force"] if verb == "simulate" else []
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, moment, name, *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (exit_codes.CTRL_C, "panic-hpc: interrupted\n")
    assert not list(tmp_path.glob(".*"))


def test_who_ignores_ctrl_c_goes_on_ignoring_it(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + INTERRUPTED
    done = subprocess.run(
        [sys.executable, "-c", script, "import", "typer", "--version"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.startswith("panic-hpc ")
