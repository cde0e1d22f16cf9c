#include "edges/components.hpp"

#include <algorithm>
#include <limits>

#include "kernels/kernels.hpp"

namespace lazy {

// Prim's algorithm on the dense matrix: every distance is read once, nothing is sorted.
std::vector<float> spanning_tree_lengths(const float* matrix, std::size_t n, Watch& watch) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> lengths, nearest(n, infinity), closed(n, 0);
  std::size_t current = 0;
  for (std::size_t step = 1; step < n; ++step) {
    closed[current] = infinity;
    const float length = kernels().relax(nearest.data(), matrix + current * n, closed.data(), n);
    current = kernels().find(nearest.data(), n, length);
    lengths.push_back(length);
    if (step % 64 == 0) watch.look();
  }
  return lengths;
}

Reach reach_of(const float* matrix, std::size_t n) {
  Reach reach;
  for (std::size_t i = 0; i < n; ++i) {
    const float farthest = kernels().largest(matrix + i * n, n);
    reach.radius = std::min(reach.radius, farthest);
    reach.longest = std::max(reach.longest, farthest);
  }
  return reach;
}

}  // namespace lazy
