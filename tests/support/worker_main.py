"""`python worker_main.py ROOT STAGE BYTES`: work on a stage, and die of a file larger than that."""

import resource
import signal
import sys
from pathlib import Path

from experiments import Planned

from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest

if __name__ == "__main__":
    root, stage, most_bytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # Python ignores the signal, and would be told of an error.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    Planned(manifest.read(root), ExperimentPaths(root)).work(stage)
