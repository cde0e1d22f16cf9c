"""The numerics class: what else than the inputs decides the bits of a result.

Which of these matter was measured on CPUs (threads, instruction set) and is documented for GPUs
(cuBLAS: bitwise equal for one toolkit on one architecture with one number of multiprocessors).
"""

import os
import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from panic_hpc.versions import versions_of

MODEL_LIBRARIES = (
    *("torch", "torchvision", "diffusers", "transformers", "tokenizers", "sentence-transformers"),
    *("numpy", "pillow", "accelerate", "safetensors", "timm", "num2words"),
    # Pipelines clean prompts with these, and load other kernels, if they find them installed.
    *("ftfy", "beautifulsoup4", "bitsandbytes", "torchao", "kernels", "xformers", "flash-attn"),
)
_SWITCHES = (
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR"),
    *("MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"),
)
# Told for GPUs only: `devices.torch_for` sets the first of them, so that on a CPU a class would
# depend on whether this process had loaded a model before.
_GPU_SWITCHES = (
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
)
_INSTRUCTION_SETS = ("amx_tile", "avx512_bf16", "avx512_vnni", "avx512f", "avx2", "sve", "asimd")


def numerics_class(
    device: str, threads: int = 1, libraries: Iterable[str] = MODEL_LIBRARIES
) -> dict[str, Any]:
    """Return the class of results made on `device` by `libraries`, as a JSON value.

    Two results in equal classes are expected to be equal bit for bit; torch is imported only to
    name a GPU.
    """
    is_gpu = device.startswith("cuda")
    switches = (*_SWITCHES, *(_GPU_SWITCHES if is_gpu else ()))
    return {
        "device": _gpu() if is_gpu else "cpu",
        "cpu": _cpu(),
        "threads": threads,
        "libraries": versions_of(libraries),
        "switches": {name: os.environ[name] for name in switches if name in os.environ},
    }


@cache
def _cpu() -> str:
    """Return the CPU's maker and the widest instruction sets that libraries choose kernels by."""
    maker, flags = _cpuinfo(Path("/proc/cpuinfo"))
    found = [name for name in _INSTRUCTION_SETS if name in flags]
    # Not the model name: oneDNN and ATen choose kernels by maker and instruction set, and one name
    # more would forbid continuing on the node next door.
    return " ".join([platform.machine(), maker, *found]).strip()


def _cpuinfo(path: Path) -> tuple[str, set[str]]:
    try:
        # The first processor stands for all; hybrid cores share their instruction sets.
        lines = path.read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor(), set()
    pairs = [line.partition(":")[::2] for line in lines]
    fields = {name.strip(): value.strip() for name, value in pairs}
    maker = fields.get("vendor_id") or fields.get("CPU implementer", "")
    return maker, set((fields.get("flags") or fields.get("Features", "")).split())


@cache
def _gpu() -> dict[str, Any]:
    """Return what decides which kernels a GPU runs; cards with equal values are interchangeable."""
    import torch

    properties = torch.cuda.get_device_properties(0)
    return {
        # cuBLAS promises equal bits for one architecture and number of multiprocessors only: H100
        # SXM and PCIe differ in that number under nearly one name.
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda or torch.version.hip or "",
        "cudnn": torch.backends.cudnn.version() or 0,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "tf32": [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32],
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
