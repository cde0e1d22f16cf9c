// H1 edge by edge, for clouds of few points and those that are like noise.
#pragma once

#include <functional>

#include "edges/filtration.hpp"
#include "reduction/reduction.hpp"

namespace lazy {

// The edges are added in order, each together with all simplices whose longest edge it is. What
// that does to loops is said by the lune of the edge, as a graph of the edges so far:
//
//   - empty: the edge closes a loop (or joins two components): it has a new class of its own;
//   - else the edge is the sum of two others, by the triangle with any vertex of the lune;
//   - each further component of the lune gives one relation, by the triangle with any of its vertices.
//     All other triangles say nothing new: those of neighbours in the lune differ by a tetrahedron.
//
// So only as many triangles are looked at as there are components of lunes beyond the first, and none
// once all loops have ended, which in noise is long before the edges do (compare "active
// enumeration", Kapulkin and Kershaw, arXiv:2606.06310). An edge has a row of bits, one a living loop,
// only when it is asked for: by a relation, or by another edge that is. A lune takes n / 64 words,
// though: of many points that are not noise the reduction of the neighbourhood graph's columns is faster.
//
// `n_begun` counts the edges that close loops; the ranks of edges are not needed. The sweep is over when all
// loops have ended and `none_begins_after(length)` says that no longer edge closes one; that is asked now
// and then. Returns whether it got there: else a loop is alive, or edges that are not there may close one.
struct SweptLoops {
  Pairs pairs;
  bool is_over;
};
SweptLoops annotated_loops(Filtration& filtration, Watch& watch, std::size_t& n_begun,
                           const std::function<bool(float)>& none_begins_after);

}  // namespace lazy
