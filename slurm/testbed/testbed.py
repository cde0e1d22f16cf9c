#!/usr/bin/env python3
"""Start and stop a real Slurm on this host, as root, in a directory of its own.

    slurm/testbed/testbed.py start [--directory DIR] [--accounting]
                                   [--max-array-size N] [--min-job-age S]
    eval "$(slurm/testbed/testbed.py env DIR)"      # SLURM_CONF for the client commands
    slurm/testbed/testbed.py stop DIR               # stops what `start` started, removes DIR

Needs the packages that slurm/testbed/install installs. Every file, socket and port is its own, so
it can run beside another Slurm or another testbed. Seen with Slurm 22.05.8 (Debian 12).
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed_files import Settings, write_files

NODES = ("g1", "g2", "f1")
STARTUP_S = 180
SHUTDOWN_S = 15


@dataclass(frozen=True)
class Testbed:
    """A Slurm in `directory`; an instance may also be made for one that another process started."""

    __test__ = False  # not a class of tests

    directory: Path

    @property
    def conf(self) -> Path:
        """The configuration file, which SLURM_CONF must name."""
        return self.directory / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that client commands need."""
        return {"SLURM_CONF": str(self.conf)}

    def run(self, *command: str, user: str | None = None) -> str:
        """Run a client command (as `user`) and return its standard output."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, user=user, group=user and "nogroup",
            extra_groups=() if user else None, cwd="/", text=True, capture_output=True,
            timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start_node(self, node: str) -> None:
        """Start the slurmd of `node`."""
        self._spawn("slurmd", "-N", node, "-f", str(self.conf))

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of `node` as a crash would; its jobs go on."""
        self._kill(f"slurmd.{node}", signal.SIGKILL)

    def start_controller(self) -> None:
        """Start slurmctld with the state that is on disk."""
        self._spawn("slurmctld", "-f", str(self.conf))

    def stop_controller(self) -> None:
        """Stop slurmctld; jobs go on."""
        self._kill("slurmctld", signal.SIGTERM)

    def wait_idle(self, nodes: int = len(NODES)) -> None:
        """Wait until `nodes` nodes are up."""
        _wait(lambda: self._nodes_up() >= nodes, f"{nodes} nodes to come up", self.directory)

    def bring_back_controller(self) -> None:
        """Start slurmctld where it is missing, and wait until it answers."""
        if self._alive("slurmctld") is None:
            self.start_controller()
            _wait(lambda: _succeeds(self, "sinfo"), "slurmctld", self.directory)

    def bring_back_nodes(self) -> None:
        """Start what slurmd is missing and resume what nodes are down, until all are up."""
        if not self._alive("slurmctld") or self._nodes_up() >= len(NODES):
            return
        for node in NODES:
            if not self._alive(f"slurmd.{node}"):
                self.start_node(node)
            with contextlib.suppress(RuntimeError):  # refused for a node that is up
                self.run("scontrol", "update", f"nodename={node}", "state=resume")
        self.wait_idle()

    def stop(self) -> None:
        """Cancel all jobs, stop all daemons of this testbed, remove its directory."""
        self.cancel_jobs()
        for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd"):
            self._kill(name, signal.SIGTERM)
        for pid in _processes_with(self.environment["SLURM_CONF"]):
            _signal(pid, signal.SIGKILL)
        self._kill("munged", signal.SIGTERM)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _nodes_up(self) -> int:
        try:
            states = self.run("sinfo", "-h", "-N", "-o", "%N %t").splitlines()
        except RuntimeError:
            return 0
        return len(
            {line.split()[0] for line in states if line.split()[1] in ("idle", "mix", "alloc")}
        )

    def cancel_jobs(self) -> None:
        """Cancel every job of every user and wait until they are gone."""
        if not self._alive("slurmctld"):
            return
        for partition in ("gpu", "fat"):
            subprocess.run(
                ["scancel", "--partition", partition], timeout=120, check=False,
                env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + STARTUP_S
        while time.monotonic() < deadline and self.run("squeue", "-h"):
            time.sleep(0.5)

    def _spawn(self, *command: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        done = subprocess.run(
            command, cwd=self.directory, env=environment, timeout=180, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")

    def _alive(self, name: str) -> int | None:
        """Return the process id of the daemon `name` if it runs and is ours."""
        try:
            pid = int((self.directory / "run" / f"{name}.pid").read_text())
            process = Path(f"/proc/{pid}")
            marks = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.directory).encode() in marks else None

    def _kill(self, name: str, number: signal.Signals) -> None:
        pid = self._alive(name)
        if pid is None:
            return
        _signal(pid, number)
        deadline = time.monotonic() + SHUTDOWN_S
        while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
            if time.monotonic() > deadline:
                _signal(pid, signal.SIGKILL)
            time.sleep(0.05)


def _signal(pid: int, number: int) -> None:
    """Signal a process, unless it has ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def start(settings: Settings, directory: Path | None = None) -> Testbed:
    """Start a testbed and return it when all its nodes are up; leave nothing behind on failure."""
    if os.geteuid() != 0:
        raise SystemExit("testbed: run as root (slurmd starts jobs as their users)")
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="panic-testbed-"))
    testbed = Testbed(directory.resolve())
    try:
        write_files(testbed.directory, settings)
        _start_daemons(testbed, settings)
    except BaseException:
        print(_log_tails(testbed.directory), file=sys.stderr)
        testbed.stop()
        raise
    return testbed


def _start_daemons(testbed: Testbed, settings: Settings) -> None:
    munge = testbed.directory / "munge"
    testbed._spawn(
        "munged", f"--socket={munge}/socket", f"--key-file={munge}/key",
        f"--seed-file={munge}/seed",
        f"--log-file={testbed.directory}/log/munged.log",
        f"--pid-file={testbed.directory}/run/munged.pid",
    )  # fmt: skip
    if settings.accounting:
        _start_accounting(testbed)
    testbed.start_controller()
    for node in NODES:
        testbed.start_node(node)
    testbed.wait_idle()


def _start_accounting(testbed: Testbed) -> None:
    directory = testbed.directory
    _start_database(testbed)
    testbed._spawn("sh", "-c", 'SLURM_CONF="$1" exec slurmdbd', "sh", str(testbed.conf))
    _wait(lambda: _succeeds(testbed, "sacctmgr", "-n", "show", "cluster"), "slurmdbd", directory)
    testbed.run("sacctmgr", "-i", "add", "cluster", "testbed")
    testbed.run("sacctmgr", "-i", "add", "account", "research", "Cluster=testbed")
    for user in ("root", "games", "news"):
        testbed.run("sacctmgr", "-i", "add", "user", user, "Account=research")


def _start_database(testbed: Testbed) -> None:
    directory = testbed.directory
    data = directory / "mariadb"
    testbed._spawn("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root")
    # Left in the background by a shell: nobody here has to wait for it.
    testbed._spawn(
        "setsid", "sh", "-c", '"$@" >log/mariadbd.log 2>&1 &', "sh",
        "mariadbd", "--no-defaults", f"--datadir={data}", "--user=root",
        f"--socket={directory}/run/mariadbd.socket", f"--pid-file={directory}/run/mariadbd.pid",
        "--bind-address=127.0.0.1", f"--port={(directory / 'mariadb.port').read_text()}",
        "--skip-name-resolve", f"--init-file={directory}/mariadb.sql",
    )  # fmt: skip
    _wait(lambda: testbed._alive("mariadbd") is not None, "mariadbd", directory)


def _succeeds(testbed: Testbed, *command: str) -> bool:
    try:
        testbed.run(*command)
    except RuntimeError:
        return False
    return True


def _wait(condition: Callable[[], bool], what: str, directory: Path) -> None:
    deadline = time.monotonic() + STARTUP_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {STARTUP_S} s for {what}; logs are in {directory}/log")
        time.sleep(0.1)


def _log_tails(directory: Path) -> str:
    logs = sorted((directory / "log").glob("*.log"))
    return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


def _processes_with(conf: str) -> Iterator[int]:
    """Yield the job steps, and what runs in them, of the Slurm whose configuration is `conf`."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        in_job = command.startswith(b"slurmstepd: ") or any(
            variable.startswith(b"SLURM_JOB_ID=") for variable in variables
        )
        if in_job and b"SLURM_CONF=" + conf.encode() in variables:
            yield int(process.name)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def main() -> None:
    """Parse the command line and act."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    starting = verbs.add_parser("start")
    starting.add_argument("--directory", type=Path)
    starting.add_argument("--accounting", action="store_true")
    starting.add_argument("--max-array-size", type=int, default=Settings.max_array_size)
    starting.add_argument("--min-job-age", type=int, default=Settings.min_job_age_s)
    for verb in ("env", "stop"):
        verbs.add_parser(verb).add_argument("directory", type=Path)
    given = parser.parse_args()
    if given.verb == "start":
        chosen = Settings(given.accounting, given.max_array_size, given.min_job_age)
        print(start(chosen, given.directory).directory)
    elif given.verb == "env":
        print(f"export SLURM_CONF={Testbed(given.directory.resolve()).conf}")
    else:
        Testbed(given.directory.resolve()).stop()


if __name__ == "__main__":
    main()
