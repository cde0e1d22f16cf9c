"""`python worker_main.py ROOT STAGE…`: work on an experiment's stages as a process of its own."""

import sys
from pathlib import Path

from experiments import Planned

from panic_hpc.paths import ExperimentPaths
from panic_hpc.planning import manifest

if __name__ == "__main__":
    root = Path(sys.argv[1])
    Planned(manifest.read(root), ExperimentPaths(root)).work(*sys.argv[2:])
