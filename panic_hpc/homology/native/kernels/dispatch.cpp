#if defined(LAZY_AMX)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>

#include "kernels/byte_tiles.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

// Best first.
const Kernels* const kTables[] = {
#if defined(LAZY_AMX)
    &kAmxKernels,
#endif
#if defined(__x86_64__)
    &kAvx512Kernels,
    &kAvx2Kernels,
#endif
    &kBaselineKernels,
};

#if defined(LAZY_AMX)
// Leaf 7 of cpuid has bits for tiles and for products of bytes; whether the system saves the registers is
// asked of the system.
bool has_byte_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  return (d >> 24 & 1) && (d >> 25 & 1) && kAmxKernels.byte_tiles->ready();
}
#endif

bool runs_here(const Kernels& table) {
#if defined(LAZY_AMX)
  if (&table == &kAmxKernels) return __builtin_cpu_supports("x86-64-v4") && has_byte_tiles();
#endif
#if defined(__x86_64__)
  if (&table == &kAvx512Kernels) return __builtin_cpu_supports("x86-64-v4");
  if (&table == &kAvx2Kernels) return __builtin_cpu_supports("x86-64-v3");
#endif
  return &table == &kBaselineKernels;
}

const Kernels& choose() {
  const char* asked = std::getenv("PANIC_HPC_SIMD");
  if (asked != nullptr)
    if (const Kernels* table = kernels_named(asked)) return *table;
  for (const Kernels* table : kTables)
    if (runs_here(*table)) return *table;
  return kBaselineKernels;
}

}  // namespace

const Kernels* kernels_named(const char* name) {
  for (const Kernels* table : kTables)
    if (std::strcmp(table->name, name) == 0) return runs_here(*table) ? table : nullptr;
  return nullptr;
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace lazy
