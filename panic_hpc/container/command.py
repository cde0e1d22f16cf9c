"""The command lines of jobs: a profile's container section as shell words. Pure.

A *word* here is text for a shell, quoted already: literal values are quoted exactly, and the one
thing that is expanded on the node, `paths.node_tmp`, stands as a variable.
"""

import re
import shlex
import sys
from collections.abc import Iterable

from panic_hpc.clusters.cluster import Cluster, Container
from panic_hpc.errors import LaunchError

Words = tuple[str, ...]

IMAGE_PYTHON = "python3"
GPU_FLAGS: dict[str, Words] = {"nv": ("--nv",), "rocm": ("--rocm",), "none": ()}


def python_words(
    cluster: Cluster, *, gpu: bool, image: str | None = None, binds: Iterable[str] = ()
) -> Words:
    """Return the words that stand for `python` in a job of `cluster`.

    In the container image where the profile has a container section or `image` is given, else the
    profile's interpreter, else the one that runs now. `binds` are directories that the job needs
    besides the profile's own (the experiment's).
    """
    if cluster.container is None and image is None:
        return (shlex.quote(cluster.python or sys.executable),)
    return (*container_words(cluster, gpu=gpu, image=image, binds=binds), IMAGE_PYTHON)


def container_words(
    cluster: Cluster, *, gpu: bool, image: str | None = None, binds: Iterable[str] = ()
) -> Words:
    """Return the words that run what follows them inside the container image.

    Raises LaunchError where neither the profile nor the caller names an image.
    """
    container = cluster.container or Container()
    file = image or container.image
    if file is None:
        raise no_image(cluster)
    return (
        container.runtime,
        "exec",
        *(("--userns",) if container.userns else ()),
        *(GPU_FLAGS[container.gpu] if gpu else ()),
        # With $HOME come ~/.local's Python packages, ahead of the image's own.
        *(() if container.home else ("--no-home",)),
        *_bind_words(container_binds(cluster, binds), cluster.paths.node_tmp),
        *(shlex.quote(option) for option in container.options),
        shlex.quote(file),
    )


def no_image(cluster: Cluster) -> LaunchError:
    """Return the error of a profile with a container section and no image."""
    return LaunchError(
        f"The profile {cluster.name} names no container image",
        hint="Give --image FILE.sif, or set container.image in a profile of yours",
    )


def container_binds(cluster: Cluster, binds: Iterable[str] = ()) -> Words:
    """Return every directory that jobs see inside the container, unquoted, each once."""
    profiles = cluster.container.binds if cluster.container else ()
    # Apptainer binds $HOME, /tmp and the current directory by itself, but no scratch file system.
    cache = (cluster.paths.cache,) if cluster.paths.cache else ()
    return tuple(dict.fromkeys((*profiles, *cache, *binds)))


def _bind_words(binds: Words, node_tmp: str | None) -> Words:
    """Return a `--bind` for each, and one that puts the node's own directory in /tmp's place."""
    words = [word for bind in binds for word in ("--bind", shlex.quote(_checked(bind)))]
    if node_tmp is not None:
        words += ["--bind", f"{node_word(node_tmp)}:/tmp"]
    return tuple(words)


def _checked(bind: str) -> str:
    # apptainer splits the value of --bind at commas and colons and knows no quoting.
    if "," in bind or bind.count(":") > 2:
        raise LaunchError(f"The path {bind!r} cannot be bound: it has a comma or a colon in it")
    return bind


def node_word(path: str) -> str:
    """Return `path`, `$NAME` or `$NAME/rest`, as a word that is expanded on the node.

    The job ends with a message where the variable is not set there.
    """
    match = re.fullmatch(r"\$(\w+)(.*)", path)
    if match is None:
        return shlex.quote(path)
    name, rest = match.groups()
    return f'"${{{name}:?is not set on this node}}"{shlex.quote(rest) if rest else ""}'
