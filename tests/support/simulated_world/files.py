"""One file system for all hosts. What one host names or removes, others may see later.

As on NFS: names are made and replaced atomically at the server; a host that changes a directory
sees that directory as it is; a file that is opened is read as it is.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass(eq=False, slots=True)
class File:
    """What lies under one name: a value, who made it when, and until when others miss the name.

    owner: the process that keeps it fresh, for leases.
    """

    content: Any
    host: str
    named: float
    seen_from: float
    touched: float
    owner: Any = None


@dataclass(slots=True)
class Files:
    """The file system; `lag_s` is how long a change of names may stay unseen by other hosts."""

    chance: random.Random
    lag_s: float = 0.0
    directories: dict[str, dict[str, File]] = field(default_factory=lambda: defaultdict(dict))
    # By directory and name: until when hosts other than one still take it for there.
    gone: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    fresh: dict[tuple[str, str], float] = field(default_factory=dict)

    def at(self, place: "Place") -> File | None:
        """Return what the server has under a name."""
        return self.directories[place.directory].get(place.name)

    def seen(self, place: "Place", host: str, now: float) -> File | None:
        """Return the file that a host finds under a name."""
        file = self.at(place)
        if file is None or self._is_visible(file, place.directory, host, now):
            return file
        return None

    def seems_there(self, place: "Place", host: str, now: float) -> bool:
        """Whether a host takes a name for taken, which another may have removed."""
        until, by = self.gone.get((place.directory, place.name), (0.0, ""))
        return self.seen(place, host, now) is not None or (now < until and by != host)

    def names(self, directory: str, host: str, now: float) -> list[str]:
        """Return the names in a directory as a host sees them."""
        found = self.directories[directory].items()
        return [name for name, file in found if self._is_visible(file, directory, host, now)]

    def _is_visible(self, file: File, directory: str, host: str, now: float) -> bool:
        if now >= file.seen_from or file.host == host:
            return True
        return self.fresh.get((directory, host), -1.0) >= file.named

    def create(self, place: "Place", content: Any, host: str, now: float) -> File | None:
        """Give a new file a name, None where that is taken."""
        if self.at(place) is not None:
            return None
        return self.replace(place, content, host, now)

    def replace(self, place: "Place", content: Any, host: str, now: float) -> File:
        """Give a new file a name, in place of what has it."""
        file = File(content, host, now, now, now)
        self._name(file, place, host, now)
        return file

    def rename(self, source: "Place", place: "Place", host: str, now: float) -> None:
        """Move a file to another name, in place of what has it; OSError where there is none."""
        file = self.directories[source.directory].pop(source.name, None)
        if file is None:
            raise FileNotFoundError(source.name)
        self._name(file, place, host, now)

    def _name(self, file: File, place: "Place", host: str, now: float) -> None:
        before = self.at(place)
        file.host, file.named = host, now
        late = now + self.lag_s * self.chance.random() if self.lag_s else now
        # A name that was there stays there, whatever it leads to.
        file.seen_from = before.seen_from if before else late
        self.directories[place.directory][place.name] = file
        self.fresh[place.directory, host] = now

    def remove(self, place: "Place", host: str, now: float) -> None:
        """Remove a name, if it is there."""
        if self.directories[place.directory].pop(place.name, None):
            self.fresh[place.directory, host] = now
            if self.lag_s:
                until = now + self.lag_s * self.chance.random()
                self.gone[place.directory, place.name] = (until, host)


class Place:
    """A path of the simulated file system: what the package asks of a `Path` of an experiment."""

    __slots__ = ("below", "directory", "name", "text")
    # The world that answers; `doors.installed` sets it.
    world: Any = None

    def __init__(self, directory: str, name: str) -> None:
        self.directory, self.name, self.text = directory, name, f"{directory}/{name}"
        # Paths of an experiment are asked for by the hundred a history.
        self.below: dict[str, Place] = {}

    def __truediv__(self, part: str) -> "Place":
        if part not in self.below:
            self.below[part] = Place(self.text, part)
        return self.below[part]

    def __str__(self) -> str:
        return self.text

    @property
    def parent(self) -> "Place":
        directory, _, name = self.directory.rpartition("/")
        return Place(directory, name)

    def with_name(self, name: str) -> "Place":
        return Place(self.directory, name)

    def exists(self) -> bool:
        world = self.world
        world.door()
        return bool(world.files.seems_there(self, world.host, world.time))

    def is_dir(self) -> bool:
        return True

    def stat(self) -> SimpleNamespace:
        return SimpleNamespace(st_mtime=self.world.files.at(self).touched)

    def glob(self, pattern: str) -> Iterator["Place"]:
        yield from ()
