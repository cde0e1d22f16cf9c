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
    if (!kernels_.intersect(graph_.row(a), graph_.row(b), lune_.data(), lune_.size())) return;
    first_word_ = 0;
    while (lune_[first_word_] == 0) ++first_word_;
    const Vertex first = vertex_of(first_word_, lune_[first_word_]);

    // 1) Remove from the lune what is joined with the first vertex, or with the first of its neighbours.
    const std::uint64_t* const row = graph_.row(first);
    const std::uint64_t* rows[4] = {row, row, row, row};
    std::size_t word = first_word_;
    std::uint64_t bits = lune_[word] & row[word];
    for (int round = 0; round < kRounds; ++round) {
      int n_rows = round == 0;
      for (; n_rows < 4; ++n_rows) {
        while (bits == 0 && ++word < rest_.size()) bits = lune_[word] & row[word];
        if (bits == 0) break;
        rows[n_rows] = graph_.row(vertex_of(word, bits));
        bits &= bits - 1;
      }
      const std::uint64_t* const left = round == 0 ? lune_.data() : rest_.data();
      if (!kernels_.remove(left, rows, rest_.data(), rest_.size())) return;
      if (n_rows < 4) break;
    }
    rest_[first / 64] &= ~(std::uint64_t{1} << first % 64);

    // 2) What is left, a few vertices, is joined with what is not, or becomes so when others are.
    for (bool changed = true; changed;) {
      changed = false;
      for (word = first_word_; word < rest_.size(); ++word)
        for (bits = rest_[word]; bits != 0; bits &= bits - 1)
          if (is_joined(vertex_of(word, bits))) {
            rest_[word] &= ~(bits & -bits);
            changed = true;
          }
    }

    // 3) Or else belongs to another component.
    for (word = first_word_; word < rest_.size(); ++word)
      while (rest_[word] != 0) {
        const Vertex root = vertex_of(word, rest_[word]);
        found.push_back(simplex(edge, root));
        take_component(graph_, root, rest_, word, stack_);
      }
  }

 private:
  static constexpr int kRounds = 4;

  bool is_joined(Vertex vertex) const {
    const std::uint64_t* row = graph_.row(vertex);
    for (std::size_t w = first_word_; w < rest_.size(); ++w)
      if (row[w] & lune_[w] & ~rest_[w]) return true;
    return false;
  }

  const Adjacency& graph_;
  const Kernels& kernels_ = kernels();
  std::vector<std::uint64_t> lune_, rest_;
  std::size_t first_word_ = 0;  // of the lune
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
