// H0: components and the minimum spanning tree.
#pragma once

#include <limits>
#include <numeric>
#include <vector>

#include "edges/filtration.hpp"

namespace lazy {

// Lengths of the n - 1 edges of a minimum spanning tree of the complete graph, unsorted. Which tree
// it is depends on ties, the lengths do not.
std::vector<float> spanning_tree_lengths(const float* matrix, std::size_t n, Watch& watch);

struct Reach {
  // The enclosing radius: beyond it the complex is a cone over one vertex, and nothing happens any more.
  float radius = std::numeric_limits<float>::infinity();
  float longest = 0;  // of all edges
};

Reach reach_of(const float* matrix, std::size_t n);

// Disjoint sets with path halving.
class Components {
 public:
  explicit Components(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0); }

  // Whether the two were apart until now.
  bool join(Vertex a, Vertex b) {
    a = root(a);
    b = root(b);
    parent_[a] = b;
    return a != b;
  }

 private:
  Vertex root(Vertex v) {
    while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
    return v;
  }

  std::vector<Vertex> parent_;
};

}  // namespace lazy
