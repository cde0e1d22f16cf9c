// The cofaces of a simplex with longest edge e come in two parts. First those whose new vertex q lies in
// the lune (all new edges rank below e): e stays the longest edge, and the order is that of q. Then
// the longer ones, in the order of their new longest edge; it joins q to one vertex of the simplex,
// so no two of them share it.
#include "reduction/coface_stream.hpp"

#include <algorithm>

#include "edges/lune.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

std::uint32_t pair_of(std::uint32_t a, std::uint32_t b) { return a > b ? a << 16 | b : b << 16 | a; }

}  // namespace

template <int kVertices>
CofaceStream<kVertices>::CofaceStream(const Filtration& filtration, Simplex simplex)
    : simplex_(simplex), reached_(simplex), lune_next_(0) {
  const Rank edge = longest_edge(simplex);
  const Vertex a = filtration.high(edge), b = filtration.low(edge);
  const Vertex c = kVertices == 3 ? rest(simplex) : b;
  vertex_ = {static_cast<std::uint16_t>(a), static_cast<std::uint16_t>(b), static_cast<std::uint16_t>(c)};
  reached_ = lazy::simplex(edge, 0xFFFFFFFF);
}

template <int kVertices>
CofaceStream<kVertices>::CofaceStream(const Filtration& filtration, Simplex simplex, Simplex after)
    : CofaceStream(filtration, simplex) {
  if (longest_edge(after) == longest_edge(simplex)) {
    lune_next_ = first_lune_vertex_after(after);
  } else {
    lune_next_ = static_cast<Vertex>(filtration.size());
    reached_ = after;
  }
}

// The smallest q whose coface in the lune is greater than `coface`, which has our longest edge.
template <int kVertices>
Vertex CofaceStream<kVertices>::first_lune_vertex_after(Simplex coface) const {
  if constexpr (kVertices == 2) return rest(coface) + 1;
  const Vertex own = vertex_[2], high = rest(coface) >> 16, low = rest(coface) & 0xFFFF;
  if (own > high) return 0;
  if (own == high) return low + 1;
  return own > low ? high : high + 1;
}

template <int kVertices>
Simplex CofaceStream<kVertices>::coface_in_lune(Vertex q) const {
  return lazy::simplex(longest_edge(simplex_), kVertices == 2 ? q : pair_of(vertex_[2], q));
}

// kEnd if a new edge is longer than the filtration goes.
template <int kVertices>
Simplex CofaceStream<kVertices>::longer_coface(const Filtration& filtration, Vertex q) const {
  const Vertex a = vertex_[0], b = vertex_[1], c = vertex_[2];
  const Rank x = filtration.rank(a, q), y = filtration.rank(b, q);
  if constexpr (kVertices == 2) return x > y ? lazy::simplex(x, b) : lazy::simplex(y, a);
  const Rank z = filtration.rank(c, q);
  if (x > y && x > z) return lazy::simplex(x, pair_of(b, c));
  return y > z ? lazy::simplex(y, pair_of(a, c)) : lazy::simplex(z, pair_of(a, b));
}

template <int kVertices>
void CofaceStream<kVertices>::refill(const Filtration& filtration, std::vector<Code>& scratch) {
  size_ = next_ = 0;
  take_from_lune(filtration);
  if (size_ == 0) take_longer(filtration, scratch);
  // Who comes back comes back often.
  wanted_ = static_cast<std::uint8_t>(std::min<unsigned>(kCapacity, 4u * wanted_));
}

template <int kVertices>
void CofaceStream<kVertices>::take_from_lune(const Filtration& filtration) {
  const Vertex n = static_cast<Vertex>(filtration.size());
  while (size_ < wanted_ && lune_next_ < n) {
    const Vertex q = first_in_lune(filtration, vertex_[0], vertex_[1], vertex_[2],
                                   longest_edge(simplex_), lune_next_, n);
    lune_next_ = q + 1;
    if (q < n) cofaces_[size_++] = coface_in_lune(q);
  }
}

template <int kVertices>
void CofaceStream<kVertices>::take_longer(const Filtration& filtration, std::vector<Code>& scratch) {
  const std::size_t stride = filtration.stride();
  scratch.resize(2 * stride);
  Code *joined = scratch.data(), *positions = joined + stride;
  const Code low = filtration.code(longest_edge(reached_));
  const Code best = kernels().join(filtration.codes_of(vertex_[0]), filtration.codes_of(vertex_[1]),
                                   filtration.codes_of(vertex_[2]), joined, stride, low);

  // A window of codes from the best one on, wide enough for about as many cofaces as are wanted.
  const std::size_t width = (wanted_ - 1u) * (0xFFFFu / (2 * filtration.size()) + 1);
  const Code high = best == kNoCode ? low : static_cast<Code>(std::min<std::size_t>(best + width, kNoCode - 1u));
  const std::size_t n_hits = kernels().collect(joined, stride, low, high, positions);
  Simplex hits[4 * kCapacity];
  std::size_t n_kept = 0;
  bool complete = true;
  for (std::size_t k = 0; k < n_hits; ++k) {
    const Simplex coface = longer_coface(filtration, positions[k]);
    if (coface <= reached_) continue;
    if (n_kept == 4 * kCapacity) {
      std::nth_element(hits, hits + kCapacity, hits + n_kept);
      n_kept = kCapacity;
      complete = false;
    }
    hits[n_kept++] = coface;
  }
  std::sort(hits, hits + n_kept);
  size_ = static_cast<std::uint8_t>(std::min<std::size_t>(n_kept, kCapacity));
  complete = complete && n_kept <= kCapacity;
  std::copy(hits, hits + size_, cofaces_.begin());
  if (!complete) {
    reached_ = cofaces_[size_ - 1u];
  } else {
    reached_ = filtration.last_with_code(high);
  }
}

template class CofaceStream<2>;
template class CofaceStream<3>;

}  // namespace lazy
