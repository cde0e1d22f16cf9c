// The columns of H2: triangles that no apparent pair takes away.
#pragma once

#include <vector>

#include "filtration.hpp"

namespace lazy {

// Triangles (e, c), c in the lune of e, such that no earlier vertex l < c of the lune is adjacent to c
// before e. The others are apparent: (e, first vertex of the lune) with the edge e, and (e, c) with
// the tetrahedron (e, c, l) of the first such l. Of about n^3 / 6 triangles some n^1.8 are left.
//
// Edges are added in order to a graph kept as n rows of n bits; the lune of an edge is the
// intersection of two rows, and vertices with an earlier neighbour are removed from it row by row.
// That is n^2 / 2 edges times n / 64 words, where listing the triangles would take n^3 / 6 steps.
//
// Returned in ascending order; the pivots of H1 are among them and are dropped by the caller.
std::vector<Simplex> critical_triangles(const Filtration& filtration, Watch& watch);

// What critical_triangles() allocates for n points, threads included; without the result.
std::size_t critical_triangle_bytes(std::size_t n, int threads);

}  // namespace lazy
