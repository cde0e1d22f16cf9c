#include "edges/late_edges.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "edges/adjacency.hpp"
#include "edges/lune_covers.hpp"

namespace lazy {
namespace {

constexpr std::size_t kSample = 4096;

// Lengths of pairs spread over the matrix, ascending.
std::vector<float> sample_lengths(const float* matrix, std::size_t n) {
  std::vector<float> lengths;
  const std::size_t n_pairs = n * (n - 1) / 2, step = std::max<std::size_t>(1, n_pairs / kSample) | 1;
  std::size_t i = 1, j = 0;
  for (std::size_t pair = 0; pair < n_pairs; pair += step) {
    lengths.push_back(matrix[i * n + j]);
    for (j += step; j >= i && i < n; ++i) j -= i;
  }
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

// Sets `left` to the vertices that are neither joined with `i` nor with a neighbour of it.
void find_out_of_reach(const Adjacency& graph, Vertex i, std::vector<std::uint64_t>& left) {
  const std::uint64_t* row = graph.row(i);
  const std::size_t last = graph.size() / 64;
  for (std::size_t w = 0; w < left.size(); ++w) left[w] = w < last ? ~row[w] : 0;
  if (last < left.size()) left[last] = ~row[last] & ((std::uint64_t{1} << graph.size() % 64) - 1);
  const std::uint64_t* neighbours[4];
  std::size_t n_waiting = 0;
  for (std::size_t w = 0; w < left.size(); ++w)
    for (std::uint64_t bits = row[w]; bits != 0; bits &= bits - 1) {
      neighbours[n_waiting++] = graph.row(vertex_of(w, bits));
      if (n_waiting < 4) continue;
      n_waiting = 0;
      if (!kernels().remove(left.data(), neighbours, left.data(), left.size())) return;
    }
}

bool has_a_nearer_vertex(const float* a, const float* b, std::size_t n, float length) {
  for (std::size_t v = 0; v < n; ++v)
    if (std::max(a[v], b[v]) < length) return true;
  return false;
}

// Lunes of single edges, exactly.
class Lunes {
 public:
  Lunes(const float* matrix, std::size_t n, const Adjacency& lower)
      : matrix_(matrix), n_(n), lower_(lower), connected_(lower.words()) {}

  // Whether each vertex of `left`, if it is in the lune of (a, b) at all, is joined with a vertex of the lune
  // that is not left, or becomes so when others are.
  bool is_connected(Vertex a, Vertex b, const std::uint16_t* left, std::size_t n_left) {
    const float* x = matrix_ + std::size_t{a} * n_;
    const float* y = matrix_ + std::size_t{b} * n_;
    const std::uint64_t *p = lower_.row(a), *q = lower_.row(b);
    for (std::size_t w = 0; w < connected_.size(); ++w) connected_[w] = p[w] & q[w];
    waiting_.clear();
    for (std::size_t k = 0; k < n_left; ++k) {
      const Vertex v = left[k];
      connected_[v / 64] &= ~(std::uint64_t{1} << v % 64);
      if (std::max(x[v], y[v]) <= x[b]) waiting_.push_back(v);
    }
    for (std::size_t before = n_left + 1; waiting_.size() < before;) {
      before = waiting_.size();
      std::size_t n_waiting = 0;
      for (const Vertex v : waiting_)
        if (!is_joined(v, x[b])) waiting_[n_waiting++] = v;
        else if (std::max(x[v], y[v]) < x[b]) connected_[v / 64] |= std::uint64_t{1} << v % 64;
      waiting_.resize(n_waiting);
    }
    return waiting_.empty();
  }

 private:
  bool is_joined(Vertex v, float length) const {
    const std::uint64_t* row = lower_.row(v);
    for (std::size_t w = 0; w < connected_.size(); ++w)
      if (row[w] & connected_[w]) return true;
    const float* distances = matrix_ + std::size_t{v} * n_;
    for (std::size_t w = 0; w < connected_.size(); ++w)
      for (std::uint64_t bits = connected_[w]; bits != 0; bits &= bits - 1)
        if (distances[vertex_of(w, bits)] < length) return true;
    return false;
  }

  const float* matrix_;
  const std::size_t n_;
  const Adjacency& lower_;
  std::vector<std::uint64_t> connected_;  // vertices of the lune that are
  std::vector<Vertex> waiting_;           // that are not, or not yet
};

bool all_connected(const float* matrix, std::size_t n, const Adjacency& lower, const Adjacency& upper,
                   Watch& watch) {
  const Hubs hubs(lower);
  std::atomic<bool> sure{true};
  watch.parallel(n, 64, [&](std::size_t begin, std::size_t end) {
    LuneCovers covers(lower, upper, hubs);
    Lunes lunes(matrix, n, lower);
    std::vector<std::uint64_t> ends(lower.words());  // with more neighbours
    for (std::size_t k = 0; k + begin < n; ++k) ends[hubs.order[k] / 64] |= std::uint64_t{1} << hubs.order[k] % 64;
    for (std::size_t k = begin; k < end && sure; ++k) {
      const Vertex a = hubs.order[n - 1 - k];
      ends[a / 64] &= ~(std::uint64_t{1} << a % 64);
      covers.find_doubtful(a, ends, [&](Vertex b, const std::uint16_t* left, std::size_t n_left) {
        if (!lunes.is_connected(a, b, left, n_left)) sure = false;
      });
    }
  });
  return sure;
}

}  // namespace

float guess_last_death(const float* matrix, std::size_t n, const std::vector<float>& tree, int maxdim,
                       float limit) {
  constexpr std::size_t kFew = 128;  // vertices that are not worth it
  if (n < kFew) return limit;
  const std::vector<float> lengths = sample_lengths(matrix, n);
  const float longest = *std::max_element(tree.begin(), tree.end());
  const auto share_up_to = [&](float length) {
    const auto end = std::upper_bound(lengths.begin(), lengths.end(), length);
    return static_cast<double>(end - lengths.begin()) / static_cast<double>(lengths.size());
  };
  const double share = (maxdim == 1 ? 0.12 : 0.15) + 2.5 * share_up_to(longest);
  if (share > 0.8 * share_up_to(limit)) return limit;
  return std::max(longest, lengths[static_cast<std::size_t>(share * static_cast<double>(lengths.size()))]);
}

bool no_loop_begins_after(const float* matrix, std::size_t n, float length, Watch& watch) {
  watch.need(Adjacency::bytes(n));
  Adjacency graph(n, watch.account);
  for (std::size_t i = 0; i < n; ++i) graph.set_row(static_cast<Vertex>(i), matrix + i * n, n, length);
  std::atomic<bool> sure{true};
  watch.parallel(n, 64, [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint64_t> left(graph.words());
    for (std::size_t i = begin; i < end && sure; ++i) {
      find_out_of_reach(graph, static_cast<Vertex>(i), left);
      for (std::size_t w = 0; w * 64 < i; ++w)
        for (std::uint64_t bits = left[w]; bits != 0; bits &= bits - 1) {
          const std::size_t j = vertex_of(w, bits);
          if (j < i && !has_a_nearer_vertex(matrix + i * n, matrix + j * n, n, matrix[i * n + j])) sure = false;
        }
    }
  });
  return sure;
}

bool no_void_begins_after(const float* matrix, std::size_t n, float length, float limit, Watch& watch) {
  // 1) Bounds, each with a tenth more edges than the one before: the closer, the less lies between two graphs.
  const std::vector<float> lengths = sample_lengths(matrix, n);
  std::vector<float> bounds(1, length);
  std::size_t place = static_cast<std::size_t>(
      std::upper_bound(lengths.begin(), lengths.end(), length) - lengths.begin());
  while (bounds.back() < limit) {
    place = std::min(place + place / 10 + 1, lengths.size());
    bounds.push_back(place < lengths.size() ? std::min(limit, lengths[place]) : limit);
  }

  // 2) A few graphs at a time, so that the matrix is read less often.
  constexpr std::size_t kGraphs = 6;
  watch.need(kGraphs * Adjacency::bytes(n));
  std::vector<Adjacency> graphs;
  for (std::size_t g = 0; g < kGraphs; ++g) graphs.emplace_back(n, watch.account);
  for (std::size_t first = 0; first + 1 < bounds.size(); first += kGraphs - 1) {
    const std::size_t n_graphs = std::min(kGraphs, bounds.size() - first);
    watch.parallel(n, 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t g = 0; g < n_graphs; ++g)
          graphs[g].set_row(static_cast<Vertex>(i), matrix + i * n, n, bounds[first + g]);
    });
    for (std::size_t g = 1; g < n_graphs; ++g)
      if (!all_connected(matrix, n, graphs[g - 1], graphs[g], watch)) return false;
  }
  return true;
}

}  // namespace lazy
