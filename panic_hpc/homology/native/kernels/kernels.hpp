// The inner loops, compiled once per instruction set and chosen at run time.
//
// Every kernel returns the same bits on every instruction set: all but a few work on integers, and those
// that sum floats do so in eight lanes whose order is fixed, over products that are exact in float64, so
// that fused and unfused multiply-add agree.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lazy {

// Rows of codes and bit rows are padded to whole cache lines, so kernels have no tails.
inline constexpr std::size_t kCodesPerLine = 64;
inline constexpr std::size_t kWordsPerLine = 8;
inline constexpr std::size_t kLanes = 8;
inline constexpr std::size_t kFold = 64;
inline constexpr std::uint16_t kNoCode = 0xFFFF;

struct ByteTiles;

struct Kernels {
  const char* name;

  // Null on all but a few processors.
  const ByteTiles* byte_tiles;

  // Points of a panel, whose first numbers lie side by side, then their second ones, and so on.
  std::size_t panel;

  // out[r][c] = sums of n products of the r-th point of a panel with the c-th of another, or `adds` these to
  // what is there. The numbers are float32 widened to float64.
  void (*products)(const double* a, const double* b, std::size_t n, bool adds, double* out);

  // out = square roots of a + b[c] - 2 products[c], for the points of a panel; returns whether every one of
  // these squares is at least `close` of a + b[c]. Where not, some of `out` mean nothing.
  bool (*lengths)(const double* products, double a, const double* b, double close, float* out);

  // Inner product of two rows, summed in eight lanes of every eighth number.
  double (*product)(const float* a, const float* b, std::size_t d);

  // Sum of squared differences of two rows of length d; differences are rounded to float32, which is
  // exact for numbers within a factor of two, so that their squares are exact.
  double (*squared_difference)(const float* a, const float* b, std::size_t d);

  // best[k] = max(min(best[k], row[k]), closed[k]); returns the smallest.
  float (*relax)(float* best, const float* row, const float* closed, std::size_t n);

  // Sum of the bit patterns of row[k] / scale + softening, none of which is negative.
  std::uint64_t (*remoteness)(const float* row, float scale, float softening, std::size_t n);

  float (*largest)(const float* row, std::size_t n);

  // The first k of row[k] == value, or n.
  std::size_t (*find)(const float* row, std::size_t n, float value);

  // Bit k of out says whether row[k] <= limit; other bits of its last word are zero.
  void (*within)(const float* row, std::size_t n, float limit, std::uint64_t* out);

  // codes[k] = ranks[k] >> shift, kNoCode where the rank is all ones.
  void (*encode)(const std::uint32_t* ranks, std::size_t n, unsigned shift, std::uint16_t* codes);

  // out[q] = max(a[q], b[q], c[q]); returns the smallest of those greater than `floor`, or kNoCode.
  std::uint16_t (*join)(const std::uint16_t* a, const std::uint16_t* b, const std::uint16_t* c,
                        std::uint16_t* out, std::size_t n, std::uint16_t floor);

  // Positions of values in [low, high], ascending; returns how many.
  std::size_t (*collect)(const std::uint16_t* values, std::size_t n, std::uint16_t low,
                         std::uint16_t high, std::uint16_t* positions);

  // First q in [begin, end) with max(a[q], b[q], c[q]) <= high, or end.
  std::size_t (*first_within)(const std::uint16_t* a, const std::uint16_t* b,
                              const std::uint16_t* c, std::size_t begin, std::size_t end,
                              std::uint16_t high);

  // best[q] = min(best[q], max(row[q], via)).
  void (*witness)(std::uint16_t* best, const std::uint16_t* row, std::uint16_t via, std::size_t n);

  // Positions q of row[q] <= best[q], but where row[q] is kNoCode, ascending; returns how many.
  std::size_t (*unwitnessed)(const std::uint16_t* best, const std::uint16_t* row, std::size_t n,
                             std::uint16_t* positions);

  // out[b] = smallest row[q] with q = b modulo kFold.
  void (*fold_minima)(const std::uint16_t* row, std::size_t n, std::uint16_t* out);

  // out = a & b; returns whether any bit is set.
  bool (*intersect)(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out,
                    std::size_t words);

  // out = a & b; returns its first bit, or 64 `words`.
  std::size_t (*meet)(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out, std::size_t words);

  // rest = set without the component of `first`, its first vertex; returns whether any bit is left. Row v of
  // the graph begins at graph + v words, and each vertex is joined with itself.
  bool (*others)(const std::uint64_t* graph, const std::uint64_t* set, std::size_t first, std::uint64_t* rest,
                 std::size_t words);

  // rest = set without four rows; returns whether any bit is left.
  bool (*remove)(const std::uint64_t* set, const std::uint64_t* const* rows, std::uint64_t* rest,
                 std::size_t words);

  // left = set without eight rows, taken = ends that are in all of these, ends = ends without taken; writes
  // where `left` has a bit, as offsets of vectors for leftover(), and returns how many these are.
  std::size_t (*cover)(const std::uint64_t* const* rows, const std::uint64_t* set, std::uint64_t* ends,
                       std::uint64_t* left, std::uint64_t* taken, std::uint16_t* places, std::size_t words);

  // Positions of the bits of left & row, at those places only, of which a mask of kWordsPerLine words (that of
  // bit v begins at masks + v kWordsPerLine) does not meet `mask`; returns how many.
  std::size_t (*leftover)(const std::uint64_t* left, const std::uint64_t* row, const std::uint16_t* places,
                          std::size_t n_places, const std::uint64_t* masks, const std::uint64_t* mask,
                          std::uint16_t* positions);

  // Positions of the bits of a row; returns how many.
  std::size_t (*members)(const std::uint64_t* row, std::uint16_t* positions, std::size_t words);

  // out = sum (exclusive or) of n_rows rows, of which the first may be `out`; returns whether any bit is
  // set.
  bool (*sum)(std::uint64_t* out, const std::uint64_t* const* rows, std::size_t n_rows, std::size_t words);
};

// The best kernels this CPU can run; the environment variable PANIC_HPC_SIMD (baseline, avx2,
// avx512, amx) lowers the choice, for tests.
const Kernels& kernels();

// Those of one instruction set, or null where this build or this CPU has none.
const Kernels* kernels_named(const char* name);

extern const Kernels kBaselineKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAmxKernels;  // where LAZY_AMX says that it was compiled
#endif

}  // namespace lazy
