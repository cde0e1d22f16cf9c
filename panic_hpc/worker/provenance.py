"""Where a shard was made and with what (promise 6), gathered without importing any library."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.versions import versions_of
from panic_hpc.workspace.process import Process

LIBRARIES = (
    "panic-hpc", "numpy", "h5py", "torch", "diffusers", "transformers", "sentence-transformers",
    "accelerate", "safetensors", "tokenizers", "pillow", "giotto-ph", "gudhi", "submitit", "mpi4py",
)  # fmt: skip


def provenance(
    process: Process, device: str, environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Return the JSON value that every shard records: code, image, libraries, place, job."""
    return {
        # An image has no .git; its build says what it was made of.
        "commit": environ.get("PANIC_HPC_COMMIT") or commit(),
        "image_digest": environ.get("PANIC_HPC_IMAGE_DIGEST", ""),
        "python": platform.python_version(),
        "libraries": versions_of(LIBRARIES),
        "host": process.host,
        "user": process.user,
        "device": device,
        "cpus": len(os.sched_getaffinity(0)),
        "threads": environ.get("OMP_NUM_THREADS", ""),
        "cuda_visible_devices": environ.get("CUDA_VISIBLE_DEVICES", ""),
        "slurm": asdict(process.slurm),
        "argv": sys.argv[:1],
        "started": clock.now(),
    }


@cache
def commit() -> str:
    """Return the commit of the checkout that this code runs from, "" where it is not one."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return ""
    # Without the dirty mark two different codes would look the same.
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
