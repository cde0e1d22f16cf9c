// The relative neighbourhood graph: edges whose lune is empty.
#pragma once

#include <vector>

#include "edges/filtration.hpp"

namespace lazy {

// The lune of an edge (i, j) are the vertices q nearer to both ends than these to each other, in
// the order of ranks. An edge with a vertex q in its lune is born together with the triangle (i, j, q):
// the edge and its first such triangle are an apparent pair, of length zero, and need no reduction.
// Edges with an empty lune are the relative neighbourhood graph (Toussaint 1980), which holds the
// minimum spanning tree; what is left of it are the columns of H1. That these suffice is shown for
// the reduced and distilled Vietoris-Rips complexes by Koyama, Memoli, Robins and Turner
// (arXiv:2307.16333, 2412.07805); apparent pairs are Bauer's (Ripser, arXiv:1908.02518).
//
// Returned in ascending order.
std::vector<Rank> relative_neighbourhood_graph(const Filtration& filtration, Watch& watch);

}  // namespace lazy
