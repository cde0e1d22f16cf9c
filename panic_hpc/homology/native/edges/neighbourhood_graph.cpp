#include "edges/neighbourhood_graph.hpp"

#include <algorithm>
#include <mutex>

#include "edges/lune.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

constexpr std::size_t kWitnesses = 12;

// Finds the edges of one vertex after another.
class Search {
 public:
  explicit Search(const Filtration& filtration)
      : filtration_(filtration), best_(filtration.stride()), positions_(filtration.stride()) {}

  // Appends the edges (i, j), j < i, with an empty lune. Witnesses rule out nearly all at 32 or 64 edges
  // an instruction; the rest are tested against every vertex.
  void append_edges(Vertex i, std::vector<Rank>& found) {
    const Code* codes = filtration_.codes_of(i);
    const std::size_t reach = (i + kCodesPerLine - 1) / kCodesPerLine * kCodesPerLine;
    std::fill_n(best_.begin(), reach, kNoCode);
    const std::size_t n_near = find_near_neighbours(codes);
    for (std::size_t k = 0; k < n_near; ++k)
      kernels_.witness(best_.data(), filtration_.codes_of(positions_[k]), codes[positions_[k]], reach);
    const std::size_t n_left = kernels_.unwitnessed(best_.data(), codes, reach, positions_.data());
    for (std::size_t k = 0; k < n_left && positions_[k] < i; ++k) {
      const Rank edge = filtration_.rank(i, positions_[k]);
      if (lune_is_empty(filtration_, edge)) found.push_back(edge);
    }
  }

 private:
  // Sets `positions_` to near neighbours of a vertex, those up to the last of the nearest of each of 64
  // classes that are wanted, and returns how many. Any vertices would do; the nearer, the more lunes
  // they are in.
  std::size_t find_near_neighbours(const Code* codes) {
    Code minima[kFold];
    kernels_.fold_minima(codes, filtration_.stride(), minima);
    std::nth_element(minima, minima + kWitnesses - 1, minima + kFold);
    const Code last = std::min<Code>(minima[kWitnesses - 1], kNoCode - 1);
    const std::size_t n_near = kernels_.collect(codes, filtration_.stride(), 0, last, positions_.data());
    return std::min(n_near, 2 * kWitnesses);
  }

  const Filtration& filtration_;
  const Kernels& kernels_ = kernels();
  std::vector<Code> best_;  // by vertex: the smallest code at which a witness is in the lune
  std::vector<Code> positions_;
};

}  // namespace

std::vector<Rank> relative_neighbourhood_graph(const Filtration& filtration, Watch& watch) {
  std::vector<Rank> edges;
  std::mutex mutex;
  watch.parallel(filtration.size(), 16, [&](std::size_t begin, std::size_t end) {
    Search search(filtration);
    std::vector<Rank> found;
    for (std::size_t i = begin; i < end; ++i) search.append_edges(static_cast<Vertex>(i), found);
    const std::lock_guard<std::mutex> lock(mutex);
    edges.insert(edges.end(), found.begin(), found.end());
  });
  std::sort(edges.begin(), edges.end());
  return edges;
}

}  // namespace lazy
