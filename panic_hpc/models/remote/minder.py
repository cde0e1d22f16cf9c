"""Runs a command for as long as somebody holds this program's input open, then ends all of it.

A worker that is killed says nothing to the server that it started; the pipe between them closes
all the same, and a server left behind would keep its GPU.

    python -m panic_hpc.models.remote.minder WORDS…
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_S = 10.0


def main() -> int:
    """Run the words of the command line; return their exit code."""
    server = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    return server.wait()


def _end_with_input(server: "subprocess.Popen[bytes]") -> None:
    while sys.stdin.buffer.read(1):
        pass
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_S)


if __name__ == "__main__":
    # Ctrl-C in a terminal is for whoever started this; the end of its input follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
