// Squares and distances of rows of float32, as distances.cpp explains them, and its way by tiles of bytes.
#pragma once

#include <cstddef>

#include "watch.hpp"

namespace lazy {

// Share of |x|^2 + |y|^2 below which a squared distance is summed from differences: the rounding of
// the products then stays below 1e-10 of the result.
inline constexpr double kClose = 1e-5;

struct Rows {
  const float* const* numbers;  // n rows of d
  std::size_t n;
  std::size_t d;
  double* squares;  // |x|^2, zeros behind the last row
  void set_square(std::size_t i) const;  // throws NotFinite
  const float* row(std::size_t i) const { return numbers[i]; }
};

// The distance of two rows whose inner product is known.
float distance(const Rows& rows, std::size_t i, std::size_t j, double product);

// Fills squares, and the matrix but for its diagonal, if this processor has tiles of bytes and they pay for
// such rows; returns whether it did.
bool byte_distances(const Rows& rows, float* matrix, Watch& watch);

}  // namespace lazy
