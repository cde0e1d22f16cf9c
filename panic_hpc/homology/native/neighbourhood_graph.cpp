#include "neighbourhood_graph.hpp"

#include <algorithm>
#include <mutex>

#include "kernels.hpp"
#include "lune.hpp"

namespace lazy {
namespace {

constexpr std::size_t kWitnesses = 16;
constexpr std::size_t kBlock = 32;

// Near neighbours of a vertex: the nearest of each block of 32, and of those the nearest 16. Any
// vertices would do; the nearer, the more lunes they are in.
std::vector<Vertex> near_neighbours(const Filtration& filtration, Vertex i) {
  const Code* codes = filtration.codes_of(i);
  std::vector<Code> minima(filtration.stride() / kBlock);
  kernels().block_minima(codes, filtration.stride(), minima.data());
  std::vector<std::uint32_t> blocks;  // smallest code above, block below
  for (std::size_t b = 0; b < minima.size(); ++b)
    if (minima[b] != kNoCode) blocks.push_back(static_cast<std::uint32_t>(minima[b]) << 16 | static_cast<std::uint32_t>(b));
  const std::size_t kept = std::min(kWitnesses, blocks.size());
  std::partial_sort(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(kept), blocks.end());
  std::vector<Vertex> near(kept);
  for (std::size_t k = 0; k < kept; ++k) {
    const Code* block = codes + (blocks[k] & 0xFFFF) * kBlock;
    const Code smallest = static_cast<Code>(blocks[k] >> 16);
    near[k] = static_cast<Vertex>(std::find(block, block + kBlock, smallest) - codes);
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
