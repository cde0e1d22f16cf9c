#include "neighbourhood_graph.hpp"

#include <algorithm>
#include <mutex>

#include "kernels.hpp"
#include "lune.hpp"

namespace lazy {
namespace {

constexpr std::size_t kWitnesses = 12;

// Near neighbours of a vertex: the nearest of each class modulo 256, and of those the nearest 16. Any
// vertices would do; the nearer, the more lunes they are in.
std::vector<Vertex> near_neighbours(const Filtration& filtration, Vertex i) {
  const Code* codes = filtration.codes_of(i);
  Code minima[kFold];
  kernels().fold_minima(codes, filtration.stride(), minima);
  std::vector<std::uint32_t> classes;  // smallest code above, residue below
  for (std::uint32_t b = 0; b < kFold; ++b)
    if (minima[b] != kNoCode) classes.push_back(static_cast<std::uint32_t>(minima[b]) << 16 | b);
  const std::size_t kept = std::min(kWitnesses, classes.size());
  std::nth_element(classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(kept), classes.end());
  std::vector<Vertex> near(kept);
  for (std::size_t k = 0; k < kept; ++k) {
    std::size_t q = classes[k] & 0xFFFF;
    while (codes[q] != classes[k] >> 16) q += kFold;
    near[k] = static_cast<Vertex>(q);
  }
  return near;
}

// Edges (i, j), j < i, with an empty lune. Witnesses rule out nearly all at 32 or 64 edges an
// instruction; the rest are tested against every vertex.
void append_edges(const Filtration& filtration, Vertex i, std::vector<Code>& best, std::vector<Rank>& found) {
  const Code* codes = filtration.codes_of(i);
  const std::size_t reach = (i + kCodesPerLine - 1) / kCodesPerLine * kCodesPerLine;
  std::fill(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(reach), kNoCode);
  for (const Vertex w : near_neighbours(filtration, i))
    kernels().witness(best.data(), filtration.codes_of(w), codes[w], reach);
  for (Vertex j = 0; j < i; ++j) {
    if (codes[j] == kNoCode || best[j] < codes[j]) continue;
    const Rank edge = filtration.rank(i, j);
    if (lune_is_empty(filtration, edge)) found.push_back(edge);
  }
}

}  // namespace

std::vector<Rank> relative_neighbourhood_graph(const Filtration& filtration, Watch& watch) {
  std::vector<Rank> edges;
  std::mutex mutex;
  watch.parallel(filtration.size(), 16, [&](std::size_t begin, std::size_t end) {
    std::vector<Code> best(filtration.stride());
    std::vector<Rank> found;
    for (std::size_t i = begin; i < end; ++i)
      append_edges(filtration, static_cast<Vertex>(i), best, found);
    const std::lock_guard<std::mutex> lock(mutex);
    edges.insert(edges.end(), found.begin(), found.end());
  });
  std::sort(edges.begin(), edges.end());
  return edges;
}

}  // namespace lazy
