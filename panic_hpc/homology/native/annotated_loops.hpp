// H1 edge by edge, for clouds that are like noise.
#pragma once

#include <vector>

#include "filtration.hpp"
#include "reduction.hpp"

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
// enumeration", Kapulkin and Kershaw, arXiv:2606.06310). Every edge has a row of bits, though, one a
// living loop: where loops are few and long-lived, the reduction of the neighbourhood graph's columns
// is faster and smaller.
//
// `columns` are the edges that close loops, ascending.
Pairs annotated_loops(const Filtration& filtration, const std::vector<Simplex>& columns, Watch& watch);

}  // namespace lazy
