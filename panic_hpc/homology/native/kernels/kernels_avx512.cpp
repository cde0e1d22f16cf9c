// Kernels for x86-64-v4 (AVX-512 F, BW, DQ, VL); compiled with those flags and called only there.
#define VECTOR_BYTES 64
#define KERNEL_TABLE kAvx512Kernels
#define KERNEL_NAME "avx512"
#include "kernels/kernels_body.hpp"
