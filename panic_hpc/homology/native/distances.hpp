// Euclidean distances of points: float32, symmetric, the same bits on every CPU.
#pragma once

#include <cstddef>

#include "watch.hpp"

namespace lazy {

// Thrown for distances that float32 cannot hold.
struct Overflow {};

// Fills the n x n matrix of `rows` (n x d, row-major). Zero exactly where rows are equal.
void distances(const float* rows, std::size_t n, std::size_t d, float* matrix, Watch& watch);

}  // namespace lazy
