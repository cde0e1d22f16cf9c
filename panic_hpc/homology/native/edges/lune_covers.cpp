#include "edges/lune_covers.hpp"

#include <algorithm>
#include <numeric>

namespace lazy {
namespace {

HubMask both(const HubMask& x, const HubMask& y) {
  HubMask mask;
  for (std::size_t k = 0; k < mask.size(); ++k) mask[k] = x[k] & y[k];
  return mask;
}

// Takes out the first hub of a mask; kHubs if there is none.
std::size_t take_first(HubMask& mask) {
  for (std::size_t k = 0; k < mask.size(); ++k)
    if (mask[k] != 0) {
      const std::size_t hub = k * 64 + static_cast<unsigned>(__builtin_ctzll(mask[k]));
      mask[k] &= mask[k] - 1;
      return hub;
    }
  return kHubs;
}

// Bit j of word i becomes bit i of word j: blocks off the diagonal change places, ever smaller ones.
void transpose(std::uint64_t (&words)[64]) {
  std::uint64_t low = 0xFFFFFFFF;
  for (unsigned half = 32; half != 0; half /= 2, low ^= low << half)
    for (unsigned i = 0; i < 64; i = (i + half + 1) & ~half) {
      const std::uint64_t moved = (words[i] >> half ^ words[i + half]) & low;
      words[i] ^= moved << half;
      words[i + half] ^= moved;
    }
}

std::size_t count(const std::uint64_t* row, std::size_t words) {
  std::size_t n = 0;
  for (std::size_t w = 0; w < words; ++w) n += static_cast<unsigned>(__builtin_popcountll(row[w]));
  return n;
}

}  // namespace

Hubs::Hubs(const Adjacency& graph) : order(graph.size()), joined(graph.words() * 64) {
  std::vector<std::size_t> degree(graph.size());
  for (std::size_t v = 0; v < graph.size(); ++v) degree[v] = count(graph.row(static_cast<Vertex>(v)), graph.words());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Vertex a, Vertex b) { return degree[a] > degree[b]; });
  for (std::size_t first = 0; first < std::min(kHubs, order.size()); first += 64)
    for (std::size_t w = 0; w < graph.words(); ++w) {
      std::uint64_t block[64] = {};
      for (std::size_t k = 0; k < std::min<std::size_t>(64, order.size() - first); ++k)
        block[k] = graph.row(order[first + k])[w];
      transpose(block);
      for (std::size_t k = 0; k < 64; ++k) joined[w * 64 + k][first / 64] = block[k];
    }
}

// Covers (a, b), and all other edges of `a` that the same hubs can cover; returns false if there are none.
bool LuneCovers::cover(Vertex a, Vertex b) {
  const HubMask common = both(hubs_.joined[a], hubs_.joined[b]);
  HubMask some = common;
  std::size_t hub = take_first(some);
  if (hub == kHubs) return false;
  reach_ = hubs_.joined[hubs_.order[hub]];
  some = both(some, reach_);
  const std::uint64_t* rows[8];
  for (std::size_t k = 0; k < 8; ++k) {
    rows[k] = hub == kHubs ? rows[0] : lower_.row(hubs_.order[hub]);
    if (hub != kHubs) hub = take_first(some);
  }
  n_places_ = kernels_.cover(rows, upper_.row(a), ends_.data(), left_.data(), taken_.data(), places_.data(),
                             left_.size());
  return true;
}

// Without a hub: by the first vertex that is in the lune for certain, if there is one.
std::size_t LuneCovers::cover_by_first(Vertex a, Vertex b) {
  const std::uint64_t* row = nullptr;
  for (std::size_t w = 0; w < left_.size() && row == nullptr; ++w)
    if (const std::uint64_t bits = lower_.row(a)[w] & lower_.row(b)[w]) row = lower_.row(vertex_of(w, bits));
  for (std::size_t w = 0; w < left_.size(); ++w)
    left_[w] = upper_.row(a)[w] & upper_.row(b)[w] & ~(row == nullptr ? 0 : row[w]);
  return kernels_.members(left_.data(), left_of_edge_.data(), left_.size());
}

// Vertices of the lune of (a, b) that are joined with none of all hubs that could cover it.
std::size_t LuneCovers::find_left(Vertex a, Vertex b) {
  const HubMask mask = both(both(hubs_.joined[a], hubs_.joined[b]), reach_);
  return kernels_.leftover(left_.data(), upper_.row(b), places_.data(), n_places_, hubs_.joined[0].data(), mask.data(),
                           left_of_edge_.data());
}

}  // namespace lazy
