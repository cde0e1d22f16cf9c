#include "edges/lune_roots.hpp"

#include <algorithm>

#include "edges/adjacency.hpp"
#include "edges/remaining.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

constexpr Rank kAhead = 6;         // edges whose rows are fetched into the cache in advance
constexpr Rank kPiece = 4096;      // edges between looks at the clock

// Finds the first vertices of the components of one lune after another.
class Sieve {
 public:
  explicit Sieve(const Adjacency& graph) : graph_(graph), lune_(graph.words()), rest_(graph.words()) {}

  // Appends those but the first.
  void sift(Rank edge, Vertex a, Vertex b, std::vector<Simplex>& found) {
    const std::size_t first = kernels_.meet(graph_.row(a), graph_.row(b), lune_.data(), lune_.size());
    if (first == lune_.size() * 64) return;
    if (!kernels_.others(graph_.row(0), lune_.data(), first, rest_.data(), rest_.size())) return;
    take_components(graph_, rest_, first / 64, stack_, [&](Vertex root) { found.push_back(simplex(edge, root)); });
  }

 private:
  const Adjacency& graph_;
  const Kernels& kernels_ = kernels();
  std::vector<std::uint64_t> lune_, rest_;
  std::vector<Vertex> stack_;
};

}  // namespace

std::size_t lune_roots_bytes(std::size_t n, int threads) {
  return static_cast<std::size_t>(threads) * Adjacency::bytes(n);
}

std::vector<Simplex> lune_roots(const Filtration& filtration, Watch& watch) {
  const std::size_t n_parts = static_cast<std::size_t>(watch.threads());
  const std::size_t n_edges = filtration.n_edges();
  std::vector<Adjacency> graphs;
  for (std::size_t part = 0; part < n_parts; ++part) graphs.emplace_back(filtration.size(), watch.account);

  // Each thread has its own graph and part of the edges; it first adds those before its part.
  std::vector<std::vector<Simplex>> found(n_parts);
  watch.parallel(n_parts, 1, [&](std::size_t part, std::size_t) {
    const Rank begin = static_cast<Rank>(part * n_edges / n_parts);
    const Rank end = static_cast<Rank>((part + 1) * n_edges / n_parts);
    Adjacency& graph = graphs[part];
    for (Vertex v = 0; v < filtration.size(); ++v) graph.join(v, v);
    Sieve sieve(graph);
    for (Rank edge = 0; edge < end; ++edge) {
      if (edge % kPiece == 0) watch.look();
      if (edge + kAhead < end) {
        graph.prefetch(filtration.high(edge + kAhead));
        graph.prefetch(filtration.low(edge + kAhead));
      }
      const Vertex a = filtration.high(edge), b = filtration.low(edge);
      if (edge >= begin) sieve.sift(edge, a, b, found[part]);
      graph.join(a, b);
    }
  });
  for (std::size_t part = 1; part < n_parts; ++part)
    found[0].insert(found[0].end(), found[part].begin(), found[part].end());
  return std::move(found[0]);
}

}  // namespace lazy
