// What is left of a set of vertices while its parts are taken away.
#pragma once

#include <limits>
#include <vector>

#include "edges/adjacency.hpp"

namespace lazy {

inline constexpr Vertex kNoVertex = std::numeric_limits<Vertex>::max();

// Takes a vertex out of `set`, of which no word before `word` has a bit, and all that are connected with it
// by edges of `graph` between vertices of the set. `stack` is room to work in.
inline void take_component(const Adjacency& graph, Vertex vertex, std::vector<std::uint64_t>& set, std::size_t word,
                           std::vector<Vertex>& stack) {
  set[vertex / 64] &= ~(std::uint64_t{1} << vertex % 64);
  stack.assign(1, vertex);
  while (!stack.empty()) {
    while (word < set.size() && set[word] == 0) ++word;
    if (word == set.size()) return;
    const std::uint64_t* row = graph.row(stack.back());
    stack.pop_back();
    for (std::size_t w = word; w < set.size(); ++w)
      if (std::uint64_t joined = row[w] & set[w]) {
        set[w] &= ~joined;
        for (; joined != 0; joined &= joined - 1) stack.push_back(vertex_of(w, joined));
      }
  }
}

// Takes all components out of `set`, of which no word before `word` has a bit; visit(vertex) is called with the
// first vertex of each.
template <class Visit>
void take_components(const Adjacency& graph, std::vector<std::uint64_t>& set, std::size_t word,
                     std::vector<Vertex>& stack, const Visit& visit) {
  for (; word < set.size(); ++word)
    while (set[word] != 0) {
      const Vertex vertex = vertex_of(word, set[word]);
      take_component(graph, vertex, set, word, stack);
      visit(vertex);
    }
}

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
    lazy::take_component(graph, vertex, bits_, word_, stack_);
  }

  const std::vector<std::uint64_t>& bits() const { return bits_; }

 private:
  std::vector<std::uint64_t> bits_;
  std::size_t word_ = 0;  // words before this one are zero
  std::vector<Vertex> stack_;
};

}  // namespace lazy
