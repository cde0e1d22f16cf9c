"""torch as every model uses it: fixed threads, no autotuning, reduced precision only when asked."""

import logging
import os
import sys
from typing import Any, Literal

from panic_hpc.errors import ModelError

Dtype = Literal["float32", "bfloat16", "float16"]

CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""The variable and value by which captioners compiled into CUDA graphs were seen to repeat."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fix_threads(threads: int) -> None:
    """Make `threads` the number of threads that torch uses, imported already or not."""
    # For libraries that are imported later: OpenBLAS and MKL read these once, when they load.
    os.environ |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # With 1 CPU thread an item has the same bits in every slot of a batch; with 2 it was seen to
    # differ, in float32 linears and convolutions of few rows.
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def has_gpu() -> bool:
    """Say whether torch is installed and sees a GPU."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def torch_for(device: str) -> Any:
    """Import torch, set up for equal bits on `device`; ModelError where there is no such device."""
    # cuBLAS reads it when its first handle is made, so before torch touches a GPU; without it GEMMs
    # on several streams may differ from run to run.
    os.environ.setdefault(*CUBLAS_WORKSPACE)
    try:
        import torch
    except ImportError as error:
        hint = "Install it with: pip install 'panic-hpc[compute]'"
        raise ModelError("torch is not installed", hint=hint) from error
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"Device {device} was asked for and torch sees no GPU")
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    # Autotuning chooses kernels by timing, so two equal nodes could choose different ones.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # TF32 keeps 10 bits of mantissa; torch leaves it on for convolutions unless told.
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    return torch


def quiet_loaders() -> None:
    """Turn off the loaders' progress bars, and their lines on cut prompts: a flag says that."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    # diffusers warns of each cut prompt: a line a call, in logs of a million calls.
    diffusers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # Pipelines tokenize uncut to see what they cut, and the tokenizer then announces "indexing
    # errors" that never come.
    logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
