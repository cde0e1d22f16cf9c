// What is left of a set of vertices while its parts are taken away.
#pragma once

#include <limits>
#include <vector>

#include "adjacency.hpp"

namespace lazy {

inline constexpr Vertex kNoVertex = std::numeric_limits<Vertex>::max();

class Remaining {
 public:
  explicit Remaining(std::size_t words) : bits_(words) {}

  // Starts with the common neighbours of two vertices; returns whether there are any.
  bool set_to_intersection(const std::uint64_t* a, const std::uint64_t* b) {
    word_ = 0;
    return kernels().intersect(a, b, bits_.data(), bits_.size());
  }

  // The first vertex left, or kNoVertex.
  Vertex first() {
    while (word_ < bits_.size() && bits_[word_] == 0) ++word_;
    return word_ < bits_.size() ? vertex_of(word_, bits_[word_]) : kNoVertex;
  }

  // Takes away a vertex and all that are connected with it by edges of `graph` between vertices left.
  void take_component(const Adjacency& graph, Vertex vertex) {
    bits_[vertex / 64] &= ~(std::uint64_t{1} << vertex % 64);
    stack_.assign(1, vertex);
    while (!stack_.empty() && first() != kNoVertex) {
      const std::uint64_t* row = graph.row(stack_.back());
      stack_.pop_back();
      for (std::size_t w = word_; w < bits_.size(); ++w)
        if (std::uint64_t joined = row[w] & bits_[w]) {
          bits_[w] &= ~joined;
          for (; joined != 0; joined &= joined - 1) stack_.push_back(vertex_of(w, joined));
        }
    }
  }

  const std::vector<std::uint64_t>& bits() const { return bits_; }

 private:
  std::vector<std::uint64_t> bits_;
  std::size_t word_ = 0;  // words before this one are zero
  std::vector<Vertex> stack_;
};

}  // namespace lazy
