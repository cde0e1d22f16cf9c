"""What an installation may lack: libraries of an extra, and modules that are compiled."""

import importlib
from types import ModuleType

from panic_hpc.errors import PanicError

EXTRAS = {
    "compute": ("torch", "diffusers", "transformers", "sentence_transformers", "accelerate",
                "safetensors", "PIL", "tokenizers"),
    "hub": ("huggingface_hub",),
    "mpi": ("mpi4py",),
    "analysis": ("polars", "pyarrow", "matplotlib", "jinja2", "scipy", "sklearn", "threadpoolctl"),
    "engines": ("gph", "gudhi", "ripser"),
    "publish": ("rocrate", "packaging"),
    "video": ("av",),
    "energy": ("pynvml",),
    "search": ("optuna",),
    "survival": ("statsmodels",),
    "tensorboard": ("tensorboardX",),
}  # fmt: skip
"""By extra of pyproject.toml: the modules that it brings."""


def compiled(name: str) -> ModuleType | None:
    """Return a compiled module of this package; None where it was installed without a compiler."""
    try:
        return importlib.import_module(name)
    # Not ImportError: a module that is there and cannot be loaded must be heard of.
    except ModuleNotFoundError:
        return None


def missing_library(error: ModuleNotFoundError) -> PanicError | None:
    """Return what to install, None where the module that is missing comes with no extra."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return PanicError(
                f"This needs {module}, which is not installed here",
                hint=f"pip install 'panic-hpc[{extra}]'",
            )
    return None
