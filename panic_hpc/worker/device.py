"""Which device a worker uses, decided before torch is imported."""

import os
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

DEVICE_VARIABLE = "PANIC_HPC_DEVICE"
ASSIGNED_VARIABLE = "PANIC_HPC_ASSIGNED_GPU"
"""The one GPU of a local worker where it has a name (GPU-…, MIG-…): submitit takes numbers only."""


def gpu_numbers(environ: Mapping[str, str] = os.environ, dev: Path = Path("/dev")) -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = environ.get("CUDA_VISIBLE_DEVICES", environ.get("ROCR_VISIBLE_DEVICES"))
    # Empty means no GPU (submitit sets that), absent means all of them.
    if visible is not None:
        return _before_a_wrong_one([part.strip() for part in visible.split(",")])
    # By number, since nvidia10 sorts before nvidia2; nvidiactl and nvidia-uvm are no cards.
    nvidia = sorted(int(path.name[6:]) for path in dev.glob("nvidia[0-9]*"))
    # Every display adapter has a render node; only AMD's compute driver has /dev/kfd.
    render = list((dev / "dri").glob("renderD*")) if (dev / "kfd").exists() else []
    return [str(number) for number in nvidia or range(len(render))]


def _before_a_wrong_one(names: list[str]) -> list[str]:
    """Return the names that CUDA reads: it stops at -1, and Slurm says NoDevFiles for none."""
    return list(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))


def assigned_gpu(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment that shows a local worker the GPU that its pool gave it by name."""
    name = environ.get(ASSIGNED_VARIABLE, "")
    if not name:
        return {}
    is_amd = "ROCR_VISIBLE_DEVICES" in environ
    return {"ROCR_VISIBLE_DEVICES" if is_amd else "CUDA_VISIBLE_DEVICES": name}


def device(environ: Mapping[str, str] = os.environ, dev: Path = Path("/dev")) -> str:
    """Return "cuda" (AMD's too, as torch names it) where there is a GPU to use, else "cpu".

    PANIC_HPC_DEVICE overrides it. A GPU that Slurm grants and no driver serves is not one.
    """
    if environ.get(DEVICE_VARIABLE):
        return environ[DEVICE_VARIABLE]
    driver = (dev / "kfd").exists() or any(dev.glob("nvidia[0-9]*"))
    return "cuda" if driver and gpu_numbers(environ, dev) else "cpu"


def own_gpu(rank: int, ranks: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment that leaves task `rank` of `ranks` on a node its share of the GPUs.

    Empty where Slurm has already given each task its own.
    """
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        visible = [part for part in environ.get(name, "").split(",") if part]
        if ranks > 1 and len(visible) >= ranks:
            share = len(visible) // ranks
            return {name: ",".join(visible[rank * share : (rank + 1) * share])}
        # Fewer GPUs than tasks: neighbours share one, and the tasks are dealt out evenly.
        if ranks > 1 and len(visible) > 1:
            return {name: visible[rank * len(visible) // ranks]}
    return {}


def cores(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many cores this process may use: Slurm's grant, else its affinity."""
    granted = environ.get("SLURM_CPUS_PER_TASK", "")
    allowed = len(os.sched_getaffinity(0))
    # The grant may be inherited from a shell's allocation; the affinity is the whole node where a
    # site binds no tasks.
    return min(int(granted), allowed) if granted.isdigit() and int(granted) else allowed


def thread_settings(threads: int) -> dict[str, str]:
    """Return the environment that fixes the thread count of every numeric library.

    To be set before the first of them is imported: the count decides the bits.
    """
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
    # The tokenizers' pool is their own, and OMP_NUM_THREADS does not bound it.
    return dict.fromkeys(names, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
