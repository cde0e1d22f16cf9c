"""One's own analyses in a file: the same object as an installed one's, loaded from its path."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

from panic_hpc.analysis.base import Analysis
from panic_hpc.errors import PanicError


def load_script(path: Path) -> dict[str, Analysis]:
    """Return the analyses of a Python file that ends in `PLUGINS = (Analysis(…),)`, by name.

    The file is run, so it must be one that its user trusts. PanicError where it is absent, raises
    or has no analyses.
    """
    if not path.is_file():
        raise PanicError(f"{path} is no Python file")
    return _run(path, path.read_bytes())


@cache
def _run(path: Path, content: bytes) -> dict[str, Analysis]:
    """Run a file once for each content; a verb asks for its analyses several times."""
    name = f"panic_hpc_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PanicError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # Whatever somebody's file raises: it must be told whose it is.
    except Exception as error:
        raise PanicError(f"{path} cannot be run ({type(error).__name__}: {error})") from error
    found = getattr(module, "PLUGINS", ())
    if not found or not all(isinstance(one, Analysis) for one in found):
        raise PanicError(
            f"{path} has no analyses", hint="It must end in PLUGINS = (Analysis(…),): "
            "docs/analyses.md has an example",
        )  # fmt: skip
    return {one.name: one for one in found}
