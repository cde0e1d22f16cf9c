"""A server that a worker starts for itself, on a free port of this machine, and that ends with it.

The command is the machine's and not the experiment's, so that an experiment file starts nothing by
itself: `PANIC_HPC_SERVER_COMFYUI = "python main.py --listen 127.0.0.1 --port {port}"`, words as a
shell reads them, under [environment] of a profile.
"""

import os
import shlex
import socket
import subprocess
import sys
import weakref
from contextlib import closing

from panic_hpc import clock
from panic_hpc.errors import ModelError
from panic_hpc.models.sidecar import end_program

PORT = "{port}"
LOOK_EVERY_S = 0.2
_KEYS = "PANIC_HPC_KEY_"


class LaunchedServer:
    """A server under way; it ends with this object, and with this process."""

    def __init__(self, name: str, engine: str, time_limit_s: float) -> None:
        """Start the server of `engine` and wait until its port answers.

        ModelError where this machine names no command, or the server ends or says nothing in time.
        """
        words, port = _words(engine), _free_port()
        command = [word.replace(PORT, str(port)) for word in words]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "panic_hpc.models.remote.minder", *command],
            stdin=subprocess.PIPE,
            # It has no use for the keys of other services.
            env={key: v for key, v in os.environ.items() if not key.startswith(_KEYS)},
        )
        self.close = weakref.finalize(self, end_program, self._process)
        until = clock.monotonic() + time_limit_s
        while not _answers(port):
            if (code := self._process.poll()) is not None:
                raise ModelError(f"{name}: its server has ended (exit code {code}): {words[0]}")
            if clock.monotonic() > until:
                self.close()
                raise ModelError(f"{name}: its server says nothing within {time_limit_s:g} s")
            clock.sleep(LOOK_EVERY_S)


def _words(engine: str) -> list[str]:
    variable = f"PANIC_HPC_SERVER_{engine.upper()}"
    try:
        words = shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        raise ModelError(f"{variable} cannot be read ({error})") from error
    if not words or not any(PORT in word for word in words):
        raise ModelError(
            f"Nothing says how the server {engine} is started on this machine",
            hint=f"Set {variable} to its command with {PORT}, in a profile under [environment]",
        )
    return words


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
