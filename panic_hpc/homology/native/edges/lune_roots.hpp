// The columns of H2: triangles that no tetrahedron of the same longest edge takes away.
#pragma once

#include <vector>

#include "edges/filtration.hpp"

namespace lazy {

// Triangles (e, c), c the first vertex of a component of the lune of e, but for the first component of each.
// The first triangle of an edge ends or begins nothing but with it; any other triangle (e, v) ends
// together with a tetrahedron of e, as v with a link in the graph of the lune: only components are left.
// Nearly all lunes are connected; a few vertices for each edge and loop that ends there are left.
//
// Edges are added in order to a graph kept as n rows of n bits; the lune of an edge is the
// intersection of two rows, and vertices joined with its first vertex, or with neighbours of that, are
// removed from it row by row. That is n^2 / 2 edges times n / 64 words.
//
// Returned in ascending order; the pivots of H1 are among them and are dropped by the caller.
std::vector<Simplex> lune_roots(const Filtration& filtration, Watch& watch);

// What lune_roots() allocates for n points, threads included; without the result.
std::size_t lune_roots_bytes(std::size_t n, int threads);

}  // namespace lazy
