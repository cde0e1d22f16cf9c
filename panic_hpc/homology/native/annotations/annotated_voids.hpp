// H2 edge by edge, for small clouds that are like noise.
#pragma once

#include <vector>

#include "edges/filtration.hpp"
#include "reduction/reduction.hpp"

namespace lazy {

// The same as annotated_loops() one dimension up: each edge comes with all simplices whose longest edge
// it is, triangles have the rows, and the lune's graph says what is new:
//
//   - each of its components beyond the first is a triangle that ends a loop (one of `ends`, which are
//     known) or else begins a void;
//   - a spanning forest gives the rows of the other triangles, by a tetrahedron an edge of it;
//   - each cycle of the graph that its triangles do not fill gives one relation. They are found vertex
//     by vertex: the earlier neighbours of a vertex fall into components, and one edge to each says all.
//
// Sets `n_begun` to the number of voids begun. A row for every triangle is much: this is for clouds
// whose voids end early, and which are small.
Pairs annotated_voids(const Filtration& filtration, const std::vector<Simplex>& ends, Watch& watch,
                      std::size_t& n_begun);

}  // namespace lazy
