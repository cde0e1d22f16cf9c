"""Asking a hub: the only module that imports huggingface_hub, which a base install lacks.

Which hub, and with which token, is for huggingface_hub's own variables to say.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from panic_hpc import clock
from panic_hpc.errors import ModelError
from panic_hpc.models.hub.lock import LockedFile, LockedModel

Report = Callable[[int, int], None]
PIECE = 8 * 2**20


def client() -> Any:
    """Return huggingface_hub; ModelError where it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise ModelError(
            "A hub is asked through huggingface_hub, which is not installed",
            hint="Install it with: pip install 'panic-hpc[hub]'",
        ) from error
    return huggingface_hub


def quiet(wanted: bool) -> None:
    """Turn the client's own progress bars off: in a job's log they would be a line a second."""
    if wanted:
        client().utils.disable_progress_bars()


def describe(repository: str, ref: str) -> LockedModel:
    """Return what the hub says of a repository at a branch, tag or commit ("" for the main branch).

    Raises ModelError where the hub cannot be reached, refuses, or tells less than a lock needs.
    """
    asked = _asking(
        repository,
        lambda: client().HfApi().model_info(repository, revision=ref or None, files_metadata=True),
    )
    card = getattr(asked, "card_data", None)
    licence = getattr(card, "license_name", None) or getattr(card, "license", None) or ""
    return LockedModel(
        repository=repository,
        ref=ref,
        revision=str(asked.sha),
        date=clock.utc().astimezone().date().isoformat(),
        licence=licence if isinstance(licence, str) else ", ".join(map(str, licence)),
        gated=bool(asked.gated),
        files=tuple(_locked_file(repository, one) for one in asked.siblings or ()),
    )


def _locked_file(repository: str, one: Any) -> LockedFile:
    if one.size is None or not (one.lfs or one.blob_id):
        raise ModelError(f"The hub tells neither size nor digest of {repository}/{one.rfilename}")
    digest = f"sha256:{one.lfs.sha256}" if one.lfs else f"git-sha1:{one.blob_id}"
    return LockedFile(name=one.rfilename, size=one.size, digest=digest)


def download(model: LockedModel, names: Iterable[str], cache: Path) -> None:
    """Bring files of a repository at its commit into `cache`; files that are there are kept.

    Raises ModelError that names the first file which the hub does not give.
    """
    for name in names:
        ask = partial(client().hf_hub_download, model.repository, name, revision=model.revision)
        _asking(f"{model.repository}/{name}", partial(ask, cache_dir=cache))


def _asking(what: str, ask: Callable[[], Any]) -> Any:
    # Before the attempt, whose every ImportError would else be the hub's.
    errors = client().errors
    try:
        return ask()
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{what} is gated: the hub gives it to those who agreed to its licence",
            hint="Agree on the repository's page, then set HF_TOKEN to a token of yours",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelError(
            f"{what}: the hub has no such repository or revision",
            hint="A private or gated repository needs HF_TOKEN",
        ) from error
    except errors.EntryNotFoundError as error:
        raise ModelError(f"{what}: the hub has no such file") from error
    # huggingface_hub, its HTTP library and the file system raise each their own.
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise ModelError(
            f"{what} could not be had from the hub ({type(error).__name__}: {first})",
            hint="Type this on a machine that reaches the hub; again, it goes on where it stopped",
        ) from error


def verify(model: LockedModel, names: Iterable[str], folder: Path, report: Report) -> list[str]:
    """Return the names of files in `folder` that are not what the lock says, reading all of them.

    `report` is told of bytes read, and of bytes in all.
    """
    files = [file for file in model.files if file.name in set(names)]
    done, total = 0, sum(file.size for file in files)
    wrong = []
    for file in files:
        if _digest(folder / file.name, file) != file.digest:
            wrong.append(file.name)
        done += file.size
        report(done, total)
    return wrong


def _digest(path: Path, file: LockedFile) -> str:
    kind = file.digest.partition(":")[0]
    if kind == "sha256":
        digest = hashlib.sha256()
    else:
        # git's name of a blob: the hash of its length and its bytes; a name, and no protection.
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return f"{kind}:{digest.hexdigest()}"
