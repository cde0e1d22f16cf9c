// Bodies of the kernels; included by one file per instruction set, which sets VECTOR_BYTES and
// KERNEL_TABLE. Nothing of the standard library is used here but fixed-width integers: an inline
// function compiled for AVX-512 could otherwise be the copy that the linker keeps for everyone.
#include "kernels.hpp"

namespace lazy {
namespace {

constexpr std::size_t kWidth = VECTOR_BYTES / sizeof(double);
constexpr std::size_t kPieces = kLanes / kWidth;
typedef double Vector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef std::uint16_t Code;

// Eight running sums, in as many registers as the instruction set needs.
struct Lanes {
  Vector piece[kPieces];
};

inline double total(const Lanes& lanes) {
  double s[kLanes];
  for (std::size_t p = 0; p < kPieces; ++p)
    for (std::size_t l = 0; l < kWidth; ++l) s[p * kWidth + l] = lanes.piece[p][l];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

template <std::size_t kRows, std::size_t kColumns>
inline void products_tile(const double* a, const double* b, std::size_t d, double* out) {
  Lanes sum[kRows][kColumns] = {};
  for (std::size_t k = 0; k < d; k += kLanes)
    for (std::size_t p = 0; p < kPieces; ++p) {
      Vector right[kColumns];
      for (std::size_t c = 0; c < kColumns; ++c)
        right[c] = *reinterpret_cast<const Vector*>(b + c * d + k + p * kWidth);
      for (std::size_t r = 0; r < kRows; ++r) {
        const Vector left = *reinterpret_cast<const Vector*>(a + r * d + k + p * kWidth);
        for (std::size_t c = 0; c < kColumns; ++c) sum[r][c].piece[p] += left * right[c];
      }
    }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t c = 0; c < kColumns; ++c) out[r * 4 + c] = total(sum[r][c]);
}

// As large as the registers allow; a smaller tile changes no sum.
void products(const double* a, const double* b, std::size_t d, double* out) {
  constexpr std::size_t kTile = kPieces == 1 ? 4 : 2;
  for (std::size_t r = 0; r < 4; r += kTile)
    for (std::size_t c = 0; c < 4; c += kTile)
      products_tile<kTile, kTile>(a + r * d, b + c * d, d, out + r * 4 + c);
}

double squared_difference(const double* a, const double* b, std::size_t d) {
  double sum[kLanes] = {};
  for (std::size_t k = 0; k < d; k += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) {
      const double difference = static_cast<float>(a[k + l] - b[k + l]);
      sum[l] += difference * difference;
    }
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

float relax(float* best, const float* row, const float* closed, std::size_t n) {
  float smallest = __builtin_inff();
  for (std::size_t k = 0; k < n; ++k) {
    float x = row[k] < best[k] ? row[k] : best[k];
    x = x < closed[k] ? closed[k] : x;
    best[k] = x;
    smallest = x < smallest ? x : smallest;
  }
  return smallest;
}

float largest(const float* row, std::size_t n) {
  float found = 0;
  for (std::size_t k = 0; k < n; ++k) found = row[k] > found ? row[k] : found;
  return found;
}

inline Code larger(Code x, Code y) { return x > y ? x : y; }

Code join(const Code* __restrict a, const Code* __restrict b, const Code* __restrict c,
          Code* __restrict out, std::size_t n, Code floor) {
  Code smallest = kNoCode;
  for (std::size_t q = 0; q < n; ++q) {
    const Code x = larger(larger(a[q], b[q]), c[q]);
    out[q] = x;
    const Code above = x > floor ? x : kNoCode;
    smallest = above < smallest ? above : smallest;
  }
  return smallest;
}

std::size_t collect(const Code* values, std::size_t n, Code low, Code high, Code* positions) {
  std::size_t found = 0;
  const Code span = static_cast<Code>(high - low);
  for (std::size_t q = 0; q < n; q += kCodesPerLine) {
    Code any = 0;
    for (std::size_t l = 0; l < kCodesPerLine; ++l)
      any = static_cast<Code>(any | (static_cast<Code>(values[q + l] - low) <= span));
    if (any)
      for (std::size_t l = 0; l < kCodesPerLine; ++l) {
        positions[found] = static_cast<Code>(q + l);
        found += static_cast<Code>(values[q + l] - low) <= span ? 1 : 0;
      }
  }
  return found;
}

std::size_t first_within(const Code* a, const Code* b, const Code* c, std::size_t begin,
                         std::size_t end, Code high) {
  for (std::size_t q = begin & ~(kCodesPerLine - 1); q < end; q += kCodesPerLine) {
    Code any = 0;
    for (std::size_t l = 0; l < kCodesPerLine; ++l)
      any = static_cast<Code>(any | (larger(larger(a[q + l], b[q + l]), c[q + l]) <= high));
    if (any)
      for (std::size_t l = begin > q ? begin - q : 0; l < kCodesPerLine; ++l)
        if (larger(larger(a[q + l], b[q + l]), c[q + l]) <= high) return q + l < end ? q + l : end;
  }
  return end;
}

void witness(Code* __restrict best, const Code* __restrict row, Code via, std::size_t n) {
  for (std::size_t q = 0; q < n; ++q) {
    const Code x = larger(row[q], via);
    best[q] = x < best[q] ? x : best[q];
  }
}

void block_minima(const Code* row, std::size_t n, Code* out) {
  for (std::size_t q = 0; q < n; q += 32) {
    Code smallest = kNoCode;
    for (std::size_t l = 0; l < 32; ++l) smallest = row[q + l] < smallest ? row[q + l] : smallest;
    out[q / 32] = smallest;
  }
}

bool intersect(const std::uint64_t* __restrict a, const std::uint64_t* __restrict b,
               std::uint64_t* __restrict out, std::size_t words) {
  std::uint64_t any = 0;
  for (std::size_t w = 0; w < words; ++w) {
    out[w] = a[w] & b[w];
    any |= out[w];
  }
  return any != 0;
}

bool remove(const std::uint64_t* set, const std::uint64_t* __restrict row,
            std::uint64_t* rest, std::size_t words) {
  std::uint64_t any = 0;
  for (std::size_t w = 0; w < words; ++w) {
    rest[w] = set[w] & ~row[w];
    any |= rest[w];
  }
  return any != 0;
}

}  // namespace

const Kernels KERNEL_TABLE = {KERNEL_NAME, products,     squared_difference, relax,
                              largest,     join,         collect,            first_within,
                              witness,     block_minima, intersect,          remove};

}  // namespace lazy
