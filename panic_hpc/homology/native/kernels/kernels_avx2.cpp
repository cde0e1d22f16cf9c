// Kernels for x86-64-v3 (AVX2, FMA); compiled with those flags and called only where they run.
#define VECTOR_BYTES 32
#define KERNEL_TABLE kAvx2Kernels
#define KERNEL_NAME "avx2"
#include "kernels/kernels_body.hpp"
