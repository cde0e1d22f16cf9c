"""The container image that work is submitted for, checked on the login node before it is queued."""

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from panic_hpc.clusters.cluster import Cluster
from panic_hpc.container.command import container_binds, container_words, no_image
from panic_hpc.container.sif import (
    BUILD_VARIABLE,
    Build,
    check_image,
    inspect_image,
    running_build,
)
from panic_hpc.disk.files import sha256_of
from panic_hpc.errors import LaunchError
from panic_hpc.versions import version_of

DIGEST_VARIABLE = "PANIC_HPC_IMAGE_DIGEST"
IMAGE_VARIABLE = "PANIC_HPC_IMAGE"


@dataclass(frozen=True, slots=True)
class SubmittedImage:
    """An image file, its digest and how it was built; goes into the ledger and into every job."""

    path: Path
    digest: str
    build: Build

    @property
    def exports(self) -> dict[str, str]:
        """The variables that a batch script exports, for provenance and for the worker's check."""
        return {DIGEST_VARIABLE: self.digest, BUILD_VARIABLE: self.build.id}


def submitted_image(
    cluster: Cluster,
    image: str | None = None,
    binds: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> SubmittedImage | None:
    """Return the image that jobs of `cluster`, resolved, will run in; None without a container.

    `image` is what the user named; else the profile's, else the one that this process runs in.
    Raises LaunchError, one sentence, where it is missing, no image, of another architecture or
    without panic-hpc, and where a directory to bind does not exist.
    """
    file = image or (cluster.container and cluster.container.image) or environ.get(IMAGE_VARIABLE)
    if cluster.container is None and file is None:
        return None
    if file is None:
        raise no_image(cluster)
    # Apptainer would refuse to start over one, in every task.
    _refuse_absent_binds(container_binds(cluster, binds))
    path = Path(file)
    check_image(path)
    build = _build(cluster, path, binds, environ)
    refuse_other_version(path, build, version_of("panic-hpc"))
    # Here and once: a thousand tasks that read the whole image would be a load on the file system.
    return SubmittedImage(path, sha256_of(path), build)


def _refuse_absent_binds(binds: Iterable[str]) -> None:
    for bind in binds:
        if not Path(bind.partition(":")[0]).exists():
            raise LaunchError(
                f"The directory {bind}, which is to be bound into the container, does not exist",
                hint="Create it, or correct paths.cache or container.binds in the profile",
            )


def refuse_other_version(path: Path, build: Build, ours: str) -> None:
    """Raise LaunchError where the image holds another version than `ours`, "" for unknown."""
    if ours and build.version != ours:
        raise LaunchError(
            f"The container image {path} holds panic-hpc {build.version}, and this is {ours}",
            hint="Install the same version on both sides",
        )


def _build(cluster: Cluster, path: Path, binds: Iterable[str], environ: Mapping[str, str]) -> Build:
    """Return how the image was built; inside of it, there is no runtime to ask, nor a need."""
    running = running_build()
    if running is not None and environ.get(IMAGE_VARIABLE) == str(path):
        return running
    # Only nodes know node_tmp, and only they have the driver of a GPU.
    paths = cluster.paths.model_copy(update={"node_tmp": None})
    here = cluster.model_copy(update={"paths": paths})
    words = shlex.split(" ".join(container_words(here, gpu=False, image=str(path), binds=binds)))
    if shutil.which(words[0]) is None:
        raise LaunchError(f"There is no {words[0]} on this machine to look into {path} with")
    return inspect_image(tuple(words), path)
