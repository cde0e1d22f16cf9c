"""Folders that hold pickles: private, because whoever can write a pickle can run code."""

import os
from pathlib import Path

from panic_hpc.disk.directories import make_directory
from panic_hpc.disk.system import make_directories, make_sticky, named
from panic_hpc.errors import LaunchError


def private_folder(folder: Path) -> Path:
    """Make `folder` (mode 0700) and return it; LaunchError where it is another user's.

    Its parents are made like the experiment's other directories; the nearest is sticky, so that
    others who share the experiment cannot put a folder of theirs in its place.
    """
    make_directory(folder.parent)
    if folder.parent.stat().st_uid == os.getuid():
        make_sticky(folder.parent)
    with named(folder):
        make_directories(folder, 0o700)
    # Looked at afterwards: mkdir says nothing of a folder that was there before.
    facts = folder.stat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise LaunchError(f"{folder} is not private to this user", hint="Remove it and try again")
    return folder
