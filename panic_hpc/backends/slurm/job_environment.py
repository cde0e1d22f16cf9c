"""A profile's modules and variables as the host's lines of a batch script. Pure."""

import os
import shlex
from pathlib import Path

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.models.hub.cache import cache_directory


def job_environment(cluster: Cluster) -> dict[str, str]:
    """Return the variables of every job; what the profile says itself wins.

    They are exported on the host because huggingface_hub and HDF5 read theirs when they are
    imported. Models come from the cache alone: compute nodes have no network, and a thousand tasks
    must not ask a hub at once.
    """
    variables = {
        "HF_HUB_OFFLINE": "1",
        # Older releases of transformers do not know the hub's variable.
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # ~/.local is bound into containers along with $HOME.
        "PYTHONNOUSERSITE": "1",
        # Jobs start with -m where they were submitted, and a random.py there would be Python's.
        "PYTHONSAFEPATH": "1",
        **cluster.paths.cache_variables,
        **cluster.grid_variables,
    }
    if not cluster.paths.hdf5_file_locking:
        variables["HDF5_USE_FILE_LOCKING"] = "FALSE"
    return variables | cluster.environment


def model_cache(cluster: Cluster) -> Path:
    """Return where a job finds models, told from its variables and those of this process."""
    return cache_directory({**os.environ, **job_environment(cluster)})


def host_lines(cluster: Cluster) -> tuple[str, ...]:
    """Return the lines that a batch script runs on the node before its command, without newlines.

    Every value is quoted; `setup` alone is shell text, written by whoever wrote the profile.
    """
    container = cluster.container
    prefix = (
        "APPTAINERENV_" if container and container.runtime == "apptainer" else "SINGULARITYENV_"
    )
    # Apptainer mounts the current directory, and `python -m` would take a checkout in it for ours.
    inside = {"PYTHONSAFEPATH": "1", **container.environment} if container else {}
    return (
        *(f"module load {shlex.quote(module)}" for module in cluster.modules),
        *_exports(job_environment(cluster)),
        *_exports({f"{prefix}{name}": value for name, value in inside.items()}),
        # Last, so that it can use and override what stands before it.
        *cluster.setup,
    )


def _exports(variables: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
