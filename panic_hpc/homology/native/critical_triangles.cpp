#include "critical_triangles.hpp"

#include <algorithm>

#include "adjacency.hpp"
#include "kernels.hpp"

namespace lazy {
namespace {

constexpr Rank kAhead = 6;         // edges whose rows are fetched into the cache in advance
constexpr Rank kPiece = 4096;      // edges between looks at the clock

// Finds the critical triangles of one edge after another.
class Sieve {
 public:
  explicit Sieve(const Adjacency& graph) : graph_(graph), lune_(graph.words()), rest_(graph.words()) {}

  void sift(Rank edge, Vertex a, Vertex b, std::vector<Simplex>& found) {
    if (!kernels_.intersect(graph_.row(a), graph_.row(b), lune_.data(), lune_.size())) return;
    first_word_ = 0;
    while (lune_[first_word_] == 0) ++first_word_;

    // 1) Remove from the lune its first vertices, four at a time, and all their neighbours. The very
    // first is e's own partner; the others may be critical themselves.
    const std::uint64_t* left = lune_.data();
    std::size_t word = first_word_;
    std::uint64_t bits = lune_[word];
    for (int round = 0; round < kRounds; ++round) {
      const std::uint64_t* rows[4];
      for (int k = 0; k < 4; ++k) {
        while (bits == 0) {
          if (++word == lune_.size()) return;
          bits = lune_[word];
        }
        const Vertex v = vertex_of(word, bits);
        if ((round > 0 || k > 0) && (left[word] & bits & -bits)) test(edge, v, found);
        bits &= bits - 1;
        rows[k] = graph_.row(v);
      }
      if (!kernels_.remove(left, rows, rest_.data(), rest_.size())) return;
      left = rest_.data();
    }

    // 2) Test what is left, a few vertices, one by one.
    for (std::uint64_t open = rest_[word] & bits;; open = rest_[word]) {
      for (; open != 0; open &= open - 1) test(edge, vertex_of(word, open), found);
      if (++word == rest_.size()) return;
    }
  }

 private:
  static constexpr int kRounds = 4;

  // Critical: no earlier vertex of the lune is adjacent.
  void test(Rank edge, Vertex vertex, std::vector<Simplex>& found) const {
    const std::uint64_t* row = graph_.row(vertex);
    const std::size_t last = vertex / 64;
    for (std::size_t w = first_word_; w < last; ++w)
      if (row[w] & lune_[w]) return;
    if ((row[last] & lune_[last] & ((std::uint64_t{1} << vertex % 64) - 1)) == 0)
      found.push_back(simplex(edge, vertex));
  }

  const Adjacency& graph_;
  const Kernels& kernels_ = kernels();
  std::vector<std::uint64_t> lune_, rest_;
  std::size_t first_word_ = 0;
};

}  // namespace

std::size_t critical_triangle_bytes(std::size_t n, int threads) {
  return static_cast<std::size_t>(threads) * Adjacency::bytes(n);
}

std::vector<Simplex> critical_triangles(const Filtration& filtration, Watch& watch) {
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
