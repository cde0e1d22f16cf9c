// Edges whose lunes are shown to be connected, those of one vertex at a time.
#pragma once

#include <array>
#include <vector>

#include "edges/adjacency.hpp"

namespace lazy {

// A bit a hub.
using HubMask = std::array<std::uint64_t, kWordsPerLine>;
constexpr std::size_t kHubs = 64 * kWordsPerLine;

// The vertices of a graph with most neighbours, and which of them each vertex is joined with.
struct Hubs {
  explicit Hubs(const Adjacency& graph);

  std::vector<Vertex> order;    // all vertices, those with most neighbours first; kHubs of them are hubs
  std::vector<HubMask> joined;  // by vertex
};

// Lunes of the edges of `upper` that are not in `lower`, all of whose edges are shorter: the common neighbours
// of an edge's ends in `lower` are in its lune, and no others than those in `upper`. Vertices are joined
// with themselves.
//
// Hubs that are joined with each other and with both ends cover what of the lune they are joined with. The
// same few do so for many edges of a vertex: what they leave of its neighbours is found once, and of
// each edge only the vertices among these are looked at. There are few of them if the vertex has few
// neighbours, so that an edge is taken at the end that has the fewer.
class LuneCovers {
 public:
  LuneCovers(const Adjacency& lower, const Adjacency& upper, const Hubs& hubs)
      : lower_(lower), upper_(upper), hubs_(hubs), ends_(lower.words()), taken_(lower.words()),
        left_(lower.words()), places_(lower.words() + 1), taken_ends_(lower.words() * 64 + 1),
        left_of_edge_(lower.words() * 64 + 1) {}

  // Calls doubt(b, left, n_left) for each edge (a, b), with b in `ends`, whose lune may have more than one
  // component, and all but one of these among the n_left vertices `left`.
  template <class Doubt>
  void find_doubtful(Vertex a, const std::vector<std::uint64_t>& ends, const Doubt& doubt) {
    for (std::size_t w = 0; w < ends_.size(); ++w) ends_[w] = upper_.row(a)[w] & ~lower_.row(a)[w] & ends[w];
    for (std::size_t word = 0; word < ends_.size(); ++word)
      while (ends_[word] != 0) {
        const Vertex b = vertex_of(word, ends_[word]);
        if (!cover(a, b)) {
          ends_[word] &= ends_[word] - 1;
          doubt(b, left_of_edge_.data(), cover_by_first(a, b));
          continue;
        }
        if (n_places_ == 0) continue;
        const std::size_t n = kernels_.members(taken_.data(), taken_ends_.data(), taken_.size());
        for (std::size_t k = 0; k < n; ++k)
          if (const std::size_t n_left = find_left(a, taken_ends_[k]))
            doubt(taken_ends_[k], left_of_edge_.data(), n_left);
      }
  }

 private:
  bool cover(Vertex a, Vertex b);
  std::size_t cover_by_first(Vertex a, Vertex b);
  std::size_t find_left(Vertex a, Vertex b);

  const Kernels& kernels_ = kernels();
  const Adjacency& lower_;
  const Adjacency& upper_;
  const Hubs& hubs_;
  std::vector<std::uint64_t> ends_;    // of edges not yet covered
  std::vector<std::uint64_t> taken_;   // those of them that the hubs at work cover
  std::vector<std::uint64_t> left_;    // neighbours of the vertex that these hubs are not joined with
  std::vector<std::uint16_t> places_;  // of left_, that are not zero
  std::size_t n_places_ = 0;
  HubMask reach_;                      // hubs joined with the first of them, itself included
  std::vector<std::uint16_t> taken_ends_, left_of_edge_;
};

}  // namespace lazy
