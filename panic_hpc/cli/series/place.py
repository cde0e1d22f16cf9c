"""Where a series lies, and files that are written of it."""

from pathlib import Path
from typing import Annotated

import typer

Place = Annotated[Path, typer.Argument(metavar="DIR", help="The series' directory.")]


def write_beside(path: Path, content: bytes, source: Path, force: bool) -> None:
    """Write a file that was asked for, unless it is, or would replace, what it is made of."""
    from panic_hpc.disk.files import replace_file
    from panic_hpc.disk.overwriting import admit

    admit(path, [source], force=force)
    replace_file(path, content)
