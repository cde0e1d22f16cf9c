// Lunes: the vertices that make a coface without making it longer.
#pragma once

#include <algorithm>

#include "edges/filtration.hpp"
#include "kernels/kernels.hpp"

namespace lazy {

// First vertex q in [begin, end) whose edges to the vertices a, b and c all rank below `edge`, or end.
// Codes decide nearly always; where they are equal the ranks do.
inline Vertex first_in_lune(const Filtration& f, Vertex a, Vertex b, Vertex c, Rank edge,
                            Vertex begin, Vertex end) {
  const Code high = f.code(edge);
  const Code *x = f.codes_of(a), *y = f.codes_of(b), *z = f.codes_of(c);
  const Kernels& kernel = kernels();
  for (std::size_t q = begin; (q = kernel.first_within(x, y, z, q, end, high)) < end; ++q) {
    if (std::max({x[q], y[q], z[q]}) < high) return static_cast<Vertex>(q);
    const Vertex v = static_cast<Vertex>(q);
    if (std::max({f.rank(a, v), f.rank(b, v), f.rank(c, v)}) < edge) return v;
  }
  return end;
}

inline bool lune_is_empty(const Filtration& f, Rank edge) {
  const Vertex a = f.high(edge), b = f.low(edge), n = static_cast<Vertex>(f.size());
  return first_in_lune(f, a, b, b, edge, 0, n) == n;
}

}  // namespace lazy
