// The filtration as a strict order of edges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "watch.hpp"

namespace lazy {

using Rank = std::uint32_t;
using Code = std::uint16_t;
using Vertex = std::uint32_t;
inline constexpr Rank kNoRank = std::numeric_limits<Rank>::max();
inline constexpr std::size_t kMaxPoints = 65535;

// A simplex is one number whose order is the order of the filtration: the rank of its longest edge
// above, the rest of its vertices below, largest first, 16 bits each. A triangle is (edge, vertex), a
// tetrahedron (edge, vertex, vertex), an edge just (edge, 0).
using Simplex = std::uint64_t;
inline constexpr Simplex simplex(Rank longest, std::uint32_t rest) {
  return static_cast<Simplex>(longest) << 32 | rest;
}
inline constexpr Rank longest_edge(Simplex s) { return static_cast<Rank>(s >> 32); }
inline constexpr std::uint32_t rest(Simplex s) { return static_cast<std::uint32_t>(s); }

// All edges up to `limit`, in the order of length, then of position in the matrix. Ranks have no
// ties, so nothing after this has to break one; lengths come back when bars are written.
//
// The vertices are numbered anew, the most central first, which makes early vertices good witnesses:
// measured, fewer rows are read until a lune is seen to be connected.
class Filtration {
 public:
  // Takes the edges, whose lengths lie between `shortest` and `longest`, and sorts them roughly; `matrix`
  // may be freed afterwards.
  Filtration(const float* matrix, std::size_t n, float shortest, float longest, float limit, Watch& watch);

  // Sorts all edges and builds the matrices of ranks and codes.
  void rank_edges(Watch& watch);

  // Sorts some more edges; those before n_sorted() are in their place.
  void sort_more();

  std::size_t size() const { return n_; }        // vertices
  std::size_t n_edges() const { return n_edges_; }
  std::size_t n_sorted() const { return n_sorted_buckets_ == 0 ? 0 : bucket_ends_[n_sorted_buckets_ - 1]; }

  Rank rank(Vertex i, Vertex j) const { return ranks_[i * n_ + j]; }  // kNoRank: no such edge
  const Rank* ranks_of(Vertex i) const { return ranks_.data() + i * n_; }

  // Ranks without their lowest bits, so that two fit where one did: code(x) < code(y) says x < y.
  const Code* codes_of(Vertex i) const { return codes_.data() + i * stride_; }
  Code code(Rank rank) const { return rank == kNoRank ? Code{0xFFFF} : static_cast<Code>(rank >> shift_); }
  // The last simplex whose longest edge has this code.
  Simplex last_with_code(Code code) const {
    const std::uint64_t next = (static_cast<std::uint64_t>(code) + 1) << shift_;
    return next <= kNoRank ? simplex(static_cast<Rank>(next - 1), 0xFFFFFFFF) : simplex(kNoRank, 0);
  }
  std::size_t stride() const { return stride_; }

  Vertex high(Rank edge) const { return static_cast<std::uint32_t>(edges_[edge]) >> 16; }
  Vertex low(Rank edge) const { return static_cast<std::uint32_t>(edges_[edge]) & 0xFFFF; }
  float length(Rank edge) const {
    const std::uint32_t bits = static_cast<std::uint32_t>(edges_[edge] >> 32);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  // Upper bounds of what the constructor and rank_edges() allocate.
  static std::size_t edge_bytes(std::size_t n) { return n * n / 2 * sizeof(std::uint64_t); }
  static std::size_t rank_bytes(std::size_t n) { return n * n * sizeof(Rank) + n * (n + 64) * sizeof(Code); }

 private:
  void sort_buckets(std::size_t begin, std::size_t end);

  std::size_t n_;
  std::size_t stride_;
  std::size_t n_edges_ = 0;
  std::vector<std::size_t> bucket_ends_;
  std::size_t n_sorted_buckets_ = 0;
  std::uint32_t first_length_ = 0;  // bits of the shortest length of the first bucket
  unsigned bucket_shift_ = 0;       // lengths whose bits differ below this one only share a bucket
  unsigned shift_ = 0;
  Array<std::uint64_t> edges_;  // length bits above, high and low vertex below; sorted
  Array<Rank> ranks_;
  Array<Code> codes_;
};

}  // namespace lazy
