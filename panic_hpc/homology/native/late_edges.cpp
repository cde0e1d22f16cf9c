#include "late_edges.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "adjacency.hpp"

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

// The vertices that are neither joined with `i` nor with a neighbour of it.
const std::vector<std::uint64_t>& out_of_reach(const Adjacency& graph, Vertex i, std::vector<std::uint64_t>& left) {
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
      if (!kernels().remove(left.data(), neighbours, left.data(), left.size())) return left;
    }
  return left;
}

bool has_a_nearer_vertex(const float* a, const float* b, std::size_t n, float length) {
  for (std::size_t v = 0; v < n; ++v)
    if (std::max(a[v], b[v]) < length) return true;
  return false;
}

}  // namespace

float guess_last_death(const float* matrix, std::size_t n, const std::vector<float>& tree, float limit) {
  constexpr std::size_t kFew = 128;  // vertices that are not worth it
  if (n < kFew) return limit;
  const std::vector<float> lengths = sample_lengths(matrix, n);
  const float longest = *std::max_element(tree.begin(), tree.end());
  const auto share_up_to = [&](float length) {
    const auto end = std::upper_bound(lengths.begin(), lengths.end(), length);
    return static_cast<double>(end - lengths.begin()) / static_cast<double>(lengths.size());
  };
  const double share = 0.12 + 2.5 * share_up_to(longest);
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
      out_of_reach(graph, static_cast<Vertex>(i), left);
      for (std::size_t w = 0; w * 64 < i; ++w)
        for (std::uint64_t bits = left[w]; bits != 0; bits &= bits - 1) {
          const std::size_t j = vertex_of(w, bits);
          if (j < i && !has_a_nearer_vertex(matrix + i * n, matrix + j * n, n, matrix[i * n + j])) sure = false;
        }
    }
  });
  return sure;
}

}  // namespace lazy
