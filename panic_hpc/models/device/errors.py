"""Which errors leave a process without its GPU: known by class and message, as data.

CUDA calls them sticky: the context is gone, every later call of the process fails with the same
error, and only a new process can use the card again. They are told from their message, since
libraries raise them as plain RuntimeErrors. Source: the description of each code in the CUDA
runtime's and HIP's references (`cudaError_t`, `hipError_t`), and what torch puts before it.
"""

import sys
from collections.abc import Iterator
from typing import NamedTuple

from panic_hpc.errors import DeviceError


class StickyError(NamedTuple):
    """An error after which a process cannot use its device; `phrase` is part of its message.

    `says` is what has happened; `is_hardware` whether the card, and not the program, is the likely
    cause.
    """

    phrase: str
    says: str
    is_hardware: bool = False


STICKY = (
    StickyError("device-side assert triggered", "a kernel found an index or value out of range"),
    StickyError("an illegal memory access was encountered", "a kernel left its memory"),
    StickyError("unspecified launch failure", "a kernel crashed"),
    StickyError("an illegal instruction was encountered", "a kernel crashed"),
    StickyError("misaligned address", "a kernel crashed"),
    StickyError("operation not supported on global/shared address space", "a kernel crashed"),
    StickyError("invalid program counter", "a kernel crashed"),
    StickyError("hardware stack error", "a kernel crashed"),
    StickyError("the launch timed out and was terminated", "a kernel was ended by a watchdog"),
    StickyError("tensor memory not completely freed", "a kernel crashed"),
    StickyError("uncorrectable ecc error", "the card's memory lost bits", True),
    StickyError("uncorrectable nvlink error", "a link between cards failed", True),
    StickyError("invalid access of peer gpu memory over nvlink", "another card failed", True),
    StickyError("gpu is lost", "the card has fallen off the bus", True),
    StickyError("cuda error: unknown error", "the driver does not know what happened", True),
    StickyError("cuda-capable device(s) is/are busy or unavailable", "the card is taken", True),
    StickyError("mps client", "the MPS server ended this process's part", True),
    StickyError("mps server", "the MPS server does not serve this process", True),
    StickyError("cublas_status_execution_failed", "a matrix product crashed"),
    StickyError("cudnn_status_execution_failed", "a convolution crashed"),
    StickyError("cusolver_status_execution_failed", "a solver crashed"),
    StickyError("cufft_exec_failed", "a transform crashed"),
    StickyError("nccl error", "the processes of several cards lost each other"),
    StickyError("nccl communicator was aborted", "the processes of several cards lost each other"),
    StickyError("hip error: an illegal memory access", "a kernel left its memory"),
    StickyError("hsa_status_error", "a kernel crashed"),
)
"""In lower case. Running out of memory is none of them: what was allocated stays usable."""

STICKY_CLASSES = {"DistBackendError": "the processes of several cards lost each other"}
"""Classes of torch, by name so that torch need not be imported, whose errors are all sticky."""

_PROGRAM_HINT = "CUDA_LAUNCH_BLOCKING=1 in the environment shows which call it was"
_HARDWARE_HINT = "Retry; where it comes back on one node only, tell who runs that node"
_SPEAKS_OF_A_DEVICE = ("cuda", "cublas", "cudnn", "cusolver", "cufft", "nccl", "hip", "hsa")
# What libraries beneath torch say; torch itself has a class for it.
_NO_MEMORY = ("cuda out of memory", "hip out of memory", "cuda error: out of memory")
_CLASSES_OF_A_DEVICE = ("AcceleratorError",)


def find_sticky(error: BaseException) -> StickyError | None:
    """Return why this process cannot use its device after `error`, None where it can.

    The error and its causes are looked up first; what is not known there, the device is asked.
    """
    return next((known for one in _chain(error) if (known := _known(one))), None) or _asked()


def raise_if_sticky(error: BaseException) -> None:
    """Raise DeviceError from an error after which this process cannot use its device."""
    if found := find_sticky(error):
        what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise DeviceError(
            f"This process cannot use its GPU any more: {found.says} ({what})",
            hint=_HARDWARE_HINT if found.is_hardware else _PROGRAM_HINT,
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error`, or one of its causes, says that a device's memory ran out."""
    return any(
        type(one).__name__ == "OutOfMemoryError" or any(p in str(one).lower() for p in _NO_MEMORY)
        for one in _chain(error)
    )


def _asked() -> StickyError | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    try:
        # A device whose context is gone answers each call with the error that it is gone of.
        torch.cuda.synchronize()
    except RuntimeError as error:
        return StickyError("", f"it does not answer ({(str(error).splitlines() or [''])[0]})")
    return None


def _known(error: BaseException) -> StickyError | None:
    name, text = type(error).__name__, str(error).lower()
    if name in STICKY_CLASSES:
        return StickyError("", STICKY_CLASSES[name])
    # A model may quote such words in a message of its own, about a file say.
    if name not in _CLASSES_OF_A_DEVICE and not any(w in text for w in _SPEAKS_OF_A_DEVICE):
        return None
    return next((known for known in STICKY if known.phrase in text), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
