// The cofaces of one simplex, one after the other in the order of the filtration.
#pragma once

#include <array>
#include <vector>

#include "edges/filtration.hpp"

namespace lazy {

// A column of the coboundary matrix that is never written down. Cofaces are found by scanning the rows
// of the simplex's vertices in the matrix of codes, a few at a time: a scan costs the same however
// many of its hits are kept, and most streams are read only a little way.
//
// kVertices is 2 (edges, whose cofaces are triangles) or 3 (triangles and tetrahedra).
template <int kVertices>
class CofaceStream {
 public:
  // From the first coface on.
  CofaceStream(const Filtration& filtration, Simplex simplex);
  // From the first coface greater than `after` on, which is not smaller than the simplex.
  CofaceStream(const Filtration& filtration, Simplex simplex, Simplex after);

  // The current coface, or kEnd. `scratch` holds two rows of codes.
  static constexpr Simplex kEnd = ~Simplex{0};
  Simplex head(const Filtration& filtration, std::vector<Code>& scratch) {
    if (next_ == size_) refill(filtration, scratch);
    return next_ < size_ ? cofaces_[next_] : kEnd;
  }
  void advance() { ++next_; }

  Simplex simplex() const { return simplex_; }

  bool alive = true;

 private:
  static constexpr unsigned kCapacity = 16;

  void refill(const Filtration& filtration, std::vector<Code>& scratch);
  void take_from_lune(const Filtration& filtration);
  void take_longer(const Filtration& filtration, std::vector<Code>& scratch);
  Simplex coface_in_lune(Vertex q) const;
  Simplex longer_coface(const Filtration& filtration, Vertex q) const;
  Vertex first_lune_vertex_after(Simplex coface) const;

  Simplex simplex_;
  Simplex reached_;      // cofaces up to this one are behind, as far as their longest edge is not ours
  Vertex lune_next_;     // where the search of the lune goes on; n when it is over
  std::array<std::uint16_t, 3> vertex_;  // ends of the longest edge, then the third, or an end again
  std::uint8_t wanted_ = 1;
  std::uint8_t size_ = 0;
  std::uint8_t next_ = 0;
  std::array<Simplex, kCapacity> cofaces_;
};

}  // namespace lazy
