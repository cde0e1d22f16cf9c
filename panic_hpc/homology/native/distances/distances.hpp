// Euclidean distances of points: float32, symmetric, the same bits on every CPU.
#pragma once

#include <cstddef>
#include <vector>

#include "watch.hpp"

namespace lazy {

// Thrown for distances that float32 cannot hold.
struct Overflow {};

// Thrown for numbers that are NaN or infinite.
struct NotFinite {};

// Fills the n x n matrix of n rows of d numbers each. Zero exactly where rows are equal.
void distances(const std::vector<const float*>& rows, std::size_t d, float* matrix, Watch& watch);

}  // namespace lazy
