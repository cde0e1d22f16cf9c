// Sums of edges in the lune of an edge that are all edges between a set of its vertices and the others.
#pragma once

#include <utility>
#include <vector>

#include "edges/filtration.hpp"

namespace lazy {

// The graph of a lune has the common neighbours of the ends of an edge, and those edges between them that
// rank below it.
class LuneCut {
 public:
  // An edge of that graph, the higher vertex first.
  using Link = std::pair<Vertex, Vertex>;

  LuneCut(const Filtration& filtration, Watch& watch)
      : filtration_(filtration), watch_(watch), part_of_(filtration.size(), kNone) {}

  // Vertices that just the edges `links` (ascending) of the lune of `edge` separate from all others; null if
  // there are none, or none that are soon found. Of each component the smaller side is taken.
  const std::vector<Vertex>* find(Rank edge, const std::vector<Link>& links);

  // All that is connected with a vertex of the lune of `edge`.
  const std::vector<Vertex>& component(Rank edge, Vertex vertex);

  // Of the edges of the graph in their order, the higher vertex first: whether `link` joins what earlier ones
  // have not connected. Then returns what these have connected with one of its ends, else null.
  const std::vector<Vertex>* joined_first_by(Rank edge, Link link);

 private:
  enum class Split { done, impossible, too_large };

  // What is connected with the end of a link without links; the sides are 0 and 1.
  struct Part {
    std::size_t size = 0;
    bool is_large = false;
    int side = kUnknown;
  };

  Split split(std::size_t limit);
  void explore(Vertex start, std::size_t limit);
  Split choose_sides();
  bool is_link(Vertex a, Vertex b) const;
  void forget();

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr int kUnknown = -1;

  const Filtration& filtration_;
  Watch& watch_;
  Rank edge_ = 0;
  const std::vector<Link>* links_ = nullptr;
  std::vector<Part> parts_;
  std::vector<std::uint32_t> part_of_;  // by vertex
  std::vector<Vertex> seen_;            // vertices that are in a part
  std::vector<Vertex> cut_;
};

}  // namespace lazy
