#include "critical_triangles.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace lazy {
namespace {

constexpr int kSweeps = 8;     // lune vertices whose neighbours are removed from the whole lune
constexpr Rank kAhead = 6;     // edges whose rows are fetched into the cache in advance
constexpr std::size_t kPiece = 4096;

std::size_t words_of(std::size_t n) { return (n + 511) / 512 * kWordsPerLine; }

class Graph {
 public:
  Graph(std::size_t n, Account& account) : words_(words_of(n)), bits_(n * words_, account) {
    std::memset(bits_.data(), 0, bits_.bytes());
  }
  const std::uint64_t* row(Vertex v) const { return bits_.data() + v * words_; }
  void join(Vertex a, Vertex b) {
    bits_[a * words_ + b / 64] |= std::uint64_t{1} << b % 64;
    bits_[b * words_ + a / 64] |= std::uint64_t{1} << a % 64;
  }
  void prefetch(Vertex v) const {
    for (std::size_t w = 0; w < words_; w += kWordsPerLine) __builtin_prefetch(row(v) + w);
  }
  std::size_t words() const { return words_; }

 private:
  std::size_t words_;
  Array<std::uint64_t> bits_;
};

// Finds the critical triangles of one edge after another.
class Sieve {
 public:
  explicit Sieve(std::size_t words) : lune_(words), rest_(words) {}

  void sift(const Graph& graph, Rank edge, Vertex a, Vertex b, std::vector<Simplex>& found) {
    if (!kernels_.intersect(graph.row(a), graph.row(b), lune_.data(), lune_.size())) return;
    first_word_ = 0;
    while (lune_[first_word_] == 0) ++first_word_;
    const std::uint64_t* left = lune_.data();
    std::size_t word = first_word_;
    std::uint64_t bits = lune_[word];
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      while (bits == 0) {
        if (++word == lune_.size()) return;
        bits = lune_[word];
      }
      const std::uint64_t bit = bits & -bits;
      const Vertex vertex = static_cast<Vertex>(word * 64 + static_cast<unsigned>(__builtin_ctzll(bits)));
      bits ^= bit;
      // A vertex that no earlier one removed is critical; the first of the lune is e's own partner.
      if (sweep > 0 && (left[word] & bit)) found.push_back(simplex(edge, vertex));
      const bool any = kernels_.remove(left, graph.row(vertex), rest_.data(), rest_.size());
      rest_[word] &= ~bit;
      left = rest_.data();
      if (!any) return;
    }
    for (; word < rest_.size(); ++word)
      for (std::uint64_t open = rest_[word]; open != 0; open &= open - 1) {
        const Vertex vertex = static_cast<Vertex>(word * 64 + static_cast<unsigned>(__builtin_ctzll(open)));
        if (!has_earlier_neighbour(graph.row(vertex), vertex)) found.push_back(simplex(edge, vertex));
      }
  }

 private:
  bool has_earlier_neighbour(const std::uint64_t* row, Vertex vertex) const {
    const std::size_t last = vertex / 64;
    for (std::size_t w = first_word_; w < last; ++w)
      if (row[w] & lune_[w]) return true;
    return (row[last] & lune_[last] & ((std::uint64_t{1} << vertex % 64) - 1)) != 0;
  }

  const Kernels& kernels_ = kernels();
  std::vector<std::uint64_t> lune_, rest_;
  std::size_t first_word_ = 0;
};

}  // namespace

std::size_t critical_triangle_bytes(std::size_t n, int threads) {
  return static_cast<std::size_t>(threads) * n * words_of(n) * sizeof(std::uint64_t);
}

std::vector<Simplex> critical_triangles(const Filtration& filtration, Watch& watch) {
  const Rank n_edges = static_cast<Rank>(filtration.n_edges());
  const std::size_t n = filtration.size();
  Graph graph(n, watch.account);
  Sieve sieve(graph.words());
  std::vector<Simplex> found;
  for (Rank edge = 0; edge < n_edges; ++edge) {
    if (edge + kAhead < n_edges) {
      graph.prefetch(filtration.high(edge + kAhead));
      graph.prefetch(filtration.low(edge + kAhead));
    }
    const Vertex a = filtration.high(edge), b = filtration.low(edge);
    sieve.sift(graph, edge, a, b, found);
    graph.join(a, b);
    if (edge % kPiece == 0) watch.look();
  }
  return found;
}

}  // namespace lazy
