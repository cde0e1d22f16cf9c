"""Which extra of this package a library comes with, for whoever has the base install."""

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
