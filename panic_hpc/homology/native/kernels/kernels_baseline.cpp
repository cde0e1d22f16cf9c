// Kernels for every CPU of the architecture: SSE2 on x86-64, NEON on aarch64.
#define VECTOR_BYTES 16
#define KERNEL_TABLE kBaselineKernels
#define KERNEL_NAME "baseline"
#include "kernels/kernels_body.hpp"
