"""Errors that cost a process its GPU are told from those that do not."""

import pytest
import torch

from panic_hpc.errors import DeviceError, ModelError
from panic_hpc.models.device.errors import find_sticky, raise_if_sticky

BEHIND = (
    "\nSearch for `cudaErrorAssert' in the CUDA documentation for more information.\nCUDA kernel "
    "errors might be asynchronously reported at some other API call, so the stacktrace below might "
    "be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
)

STICKY = [
    (torch.AcceleratorError, "CUDA error: device-side assert triggered" + BEHIND),
    (RuntimeError, "CUDA error: device-side assert triggered" + BEHIND),
    (torch.AcceleratorError, "CUDA error: an illegal memory access was encountered" + BEHIND),
    (torch.AcceleratorError, "CUDA error: unspecified launch failure" + BEHIND),
    (torch.AcceleratorError, "CUDA error: misaligned address" + BEHIND),
    (torch.AcceleratorError, "CUDA error: uncorrectable ECC error encountered" + BEHIND),
    (torch.AcceleratorError, "CUDA error: the launch timed out and was terminated" + BEHIND),
    (
        RuntimeError,
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, opa, opb, "
        "m, n, k, &falpha, a, CUDA_R_16BF, lda, b, CUDA_R_16BF, ldb)`",
    ),
    (RuntimeError, "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    (RuntimeError, "NCCL Error 1: unhandled cuda error"),
    (torch.distributed.DistBackendError, "NCCL error in: ProcessGroupNCCL.cpp:3384, remote end"),
    (torch.distributed.DistBackendError, "[Rank 1] watchdog thread terminated with exception"),
    (RuntimeError, "HIP error: unspecified launch failure"),
]

NOT_STICKY = [
    (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total"),
    (torch.AcceleratorError, "CUDA error: invalid configuration argument" + BEHIND),
    (
        torch.AcceleratorError,
        "CUDA error: no kernel image is available for execution on the device",
    ),
    (RuntimeError, "mat1 and mat2 shapes cannot be multiplied (4x8 and 9x3)"),
    (IndexError, "index out of range in self"),
    # Quoted by a model, of something that is no device.
    (ValueError, "the caption says: unspecified launch failure"),
]


@pytest.mark.parametrize(("kind", "message"), STICKY)
def test_a_sticky_error_is_known_by_class_and_message(kind: type[Exception], message: str) -> None:
    assert find_sticky(kind(message))
    with pytest.raises(DeviceError, match="cannot use its GPU any more") as caught:
        raise_if_sticky(kind(message))
    assert caught.value.hint


@pytest.mark.parametrize(("kind", "message"), NOT_STICKY)
def test_other_errors_are_not(kind: type[Exception], message: str) -> None:
    assert find_sticky(kind(message)) is None
    raise_if_sticky(kind(message))


def test_a_sticky_error_is_found_behind_others() -> None:
    def load() -> None:
        try:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        except RuntimeError as error:
            raise ModelError("M cannot be loaded") from error

    with pytest.raises(ModelError) as caught:
        load()
    assert find_sticky(caught.value)


def test_an_error_that_is_its_own_cause_is_no_endless_loop() -> None:
    error = ValueError("a")
    error.__context__ = RuntimeError("b")
    error.__context__.__context__ = error
    assert find_sticky(error) is None
