// The whole computation: points or distances in, bars out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reduction/reduction.hpp"
#include "watch.hpp"

namespace lazy {

struct Question {
  std::vector<const float*> points;  // n rows of d, all distinct; or
  const float* matrix = nullptr;     // n x n, symmetric, not negative, zero on the diagonal
  std::size_t n = 0, d = 0;
  int maxdim = 2;
  float thresh = 0;
  double noise_ratio = 3;  // columns of H1 a point above which the cloud is taken for noise
  std::size_t few_points = 1024;   // up to which loops are swept whatever the cloud is like
  std::size_t many_points = 6000;  // from which on it pays to show that long edges begin no voids
};

struct Answer {
  std::vector<std::vector<Bar>> diagrams;  // of the finished dimensions, in no particular order
  std::vector<std::size_t> columns;        // that were given to the reduction, per dimension begun
  std::vector<std::pair<std::string, double>> seconds;
  std::size_t peak_bytes = 0;
  std::uint64_t operations = 0;
  Reason stopped = Reason::none;
};

// Persistence diagrams of the Vietoris-Rips filtration over Z/2, dimensions 0 to maxdim (at most 2).
// Stops early where `limits` say so and then has fewer diagrams. Throws Overflow.
Answer compute(const Question& question, const Limits& limits);

}  // namespace lazy
