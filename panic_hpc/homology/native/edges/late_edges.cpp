#include "edges/late_edges.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "edges/adjacency.hpp"

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

constexpr std::size_t kHubs = 64;

// The vertices with most neighbours, and which of them each vertex is joined with.
struct Hubs {
  explicit Hubs(const Adjacency& graph) : joined(graph.size(), 0) {
    std::vector<std::size_t> degree(graph.size(), 0);
    for (std::size_t v = 0; v < graph.size(); ++v)
      for (std::size_t w = 0; w < graph.words(); ++w)
        degree[v] += static_cast<unsigned>(__builtin_popcountll(graph.row(static_cast<Vertex>(v))[w]));
    std::vector<Vertex> order(graph.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](Vertex a, Vertex b) { return degree[a] > degree[b]; });
    order.resize(std::min(kHubs, order.size()));
    vertices = std::move(order);
    for (std::size_t k = 0; k < vertices.size(); ++k)
      for (std::size_t v = 0; v < graph.size(); ++v)
        joined[v] |= (graph.row(vertices[k])[v / 64] >> v % 64 & 1) << k;
  }
  std::vector<Vertex> vertices;
  std::vector<std::uint64_t> joined;  // by vertex: a bit a hub
};

// Lunes of edges whose lengths lie between those of two graphs. The edges of `lower` are strictly shorter,
// so that its common neighbours are in the lune whatever ties there are; those of `upper` are all that
// may be in it.
class Lunes {
 public:
  Lunes(const float* matrix, std::size_t n, const Adjacency& lower, const Adjacency& upper, const Hubs& hubs)
      : matrix_(matrix), n_(n), lower_(lower), upper_(upper), hubs_(hubs), sure_(lower.words()),
        left_(lower.words()) {}

  // Whether the lune of (a, b) is shown to be connected: what is not joined with a few of its vertices
  // that are joined with each other is looked at one by one. Hubs, if there are any, leave the least.
  bool is_connected(Vertex a, Vertex b) {
    std::uint64_t common = hubs_.joined[a] & hubs_.joined[b];
    if (common != 0 ? is_covered_by_hubs(a, b, common) : is_covered_by_first(a, b)) return true;
    kernels_.intersect(lower_.row(a), lower_.row(b), sure_.data(), sure_.size());
    return reaches_all(a, b);
  }

 private:
  // Rows of the next four hubs, of the first where there are fewer.
  void take(std::uint64_t& some, unsigned first, const std::uint64_t** rows) const {
    for (int k = 0; k < 4; ++k) {
      rows[k] = lower_.row(hubs_.vertices[some == 0 ? first : static_cast<unsigned>(__builtin_ctzll(some))]);
      some &= some - 1;
    }
  }

  // Eight hubs take nearly all away; of what is left it is known which hubs each vertex is joined with.
  bool is_covered_by_hubs(Vertex a, Vertex b, std::uint64_t common) {
    const unsigned first = static_cast<unsigned>(__builtin_ctzll(common));
    common &= hubs_.joined[hubs_.vertices[first]] | std::uint64_t{1} << first;
    const std::uint64_t* rows[4];
    std::uint64_t some = common;
    take(some, first, rows);
    if (!kernels_.uncovered(upper_.row(a), upper_.row(b), rows, left_.data(), left_.size())) return true;
    if (some != 0) {
      take(some, first, rows);
      if (!kernels_.remove(left_.data(), rows, left_.data(), left_.size())) return true;
    }
    bool any = false;
    for (std::size_t line = 0; line < left_.size(); line += kWordsPerLine) {
      std::uint64_t* words = left_.data() + line;
      if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) == 0) continue;
      for (std::size_t w = 0; w < kWordsPerLine; ++w)
        for (std::uint64_t bits = words[w]; bits != 0; bits &= bits - 1)
          if (hubs_.joined[vertex_of(line + w, bits)] & common) words[w] &= ~(bits & -bits);
          else any = true;
    }
    return !any;
  }

  bool is_covered_by_first(Vertex a, Vertex b) {
    kernels_.intersect(upper_.row(a), upper_.row(b), left_.data(), left_.size());
    if (!kernels_.intersect(lower_.row(a), lower_.row(b), sure_.data(), sure_.size())) return false;
    std::size_t w = 0;
    while (sure_[w] == 0) ++w;
    const std::uint64_t* const row = lower_.row(vertex_of(w, sure_[w]));
    const std::uint64_t* const rows[4] = {row, row, row, row};
    return !kernels_.remove(left_.data(), rows, left_.data(), left_.size());
  }

  // Whether each vertex that is left, if it is in the lune at all, is joined with one that is not left,
  // or becomes so when others are.
  bool reaches_all(Vertex a, Vertex b) {
    const float* x = matrix_ + std::size_t{a} * n_;
    const float* y = matrix_ + std::size_t{b} * n_;
    for (bool changed = true; changed;) {
      bool any = changed = false;
      for (std::size_t w = 0; w < left_.size(); ++w)
        for (std::uint64_t bits = left_[w]; bits != 0; bits &= bits - 1) {
          const Vertex v = vertex_of(w, bits);
          const bool done = std::max(x[v], y[v]) > x[b] || is_joined(v, x[b]);
          if (done) left_[w] &= ~(bits & -bits);
          (done ? changed : any) = true;
        }
      if (!any) return true;
    }
    return false;
  }

  bool is_joined(Vertex v, float length) const {
    const std::uint64_t* row = lower_.row(v);
    for (std::size_t w = 0; w < left_.size(); ++w)
      if (row[w] & sure_[w] & ~left_[w]) return true;
    const float* distances = matrix_ + std::size_t{v} * n_;
    for (std::size_t w = 0; w < left_.size(); ++w)
      for (std::uint64_t bits = sure_[w] & ~left_[w]; bits != 0; bits &= bits - 1)
        if (distances[vertex_of(w, bits)] < length) return true;
    return false;
  }

  const Kernels& kernels_ = kernels();
  const float* matrix_;
  const std::size_t n_;
  const Adjacency& lower_;
  const Adjacency& upper_;
  const Hubs& hubs_;
  std::vector<std::uint64_t> sure_;  // in the lune
  std::vector<std::uint64_t> left_;  // perhaps in the lune, and not yet shown to be connected
};

// Rows and words of a tile of pairs, whose rows of bits stay in the cache.
constexpr std::size_t kTileRows = 64;
constexpr std::size_t kTileWords = 8;

bool all_connected(const float* matrix, std::size_t n, const Adjacency& lower, const Adjacency& upper,
                   Watch& watch) {
  const Hubs hubs(lower);
  std::atomic<bool> sure{true};
  watch.parallel(n, kTileRows, [&](std::size_t begin, std::size_t end) {
    Lunes lunes(matrix, n, lower, upper, hubs);
    for (std::size_t tile = 0; tile * 64 < end; tile += kTileWords)
      for (std::size_t a = begin; a < end && sure; ++a)
        for (std::size_t w = tile; w < tile + kTileWords && w * 64 < a; ++w) {
          const Vertex row = static_cast<Vertex>(a);
          for (std::uint64_t bits = upper.row(row)[w] & ~lower.row(row)[w]; bits != 0; bits &= bits - 1) {
            const Vertex b = vertex_of(w, bits);
            if (b < a && !lunes.is_connected(static_cast<Vertex>(a), b)) sure = false;
          }
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
  // 1) Bounds a fiftieth of the edges apart: the narrower, the less lies between two graphs.
  const std::vector<float> lengths = sample_lengths(matrix, n);
  std::vector<float> bounds(1, length);
  std::size_t place = static_cast<std::size_t>(
      std::upper_bound(lengths.begin(), lengths.end(), length) - lengths.begin());
  while (bounds.back() < limit) {
    place = std::min(place + lengths.size() / 50 + 1, lengths.size());
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
