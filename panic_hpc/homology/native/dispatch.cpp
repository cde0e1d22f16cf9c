#include <cstdlib>
#include <cstring>

#include "kernels.hpp"

namespace lazy {
namespace {

// Best first.
const Kernels* const kTables[] = {
#if defined(__x86_64__)
    &kAvx512Kernels,
    &kAvx2Kernels,
#endif
    &kBaselineKernels,
};

bool runs_here(const Kernels& table) {
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
