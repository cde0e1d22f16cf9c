#include "reduction/reduction.hpp"

#include <algorithm>
#include <limits>

#include "edges/lune.hpp"

namespace lazy {

template <int kVertices>
std::optional<Pairs> Reduction<kVertices>::run(const std::vector<Simplex>& columns, std::uint64_t most) {
  Pairs pairs;
  const std::uint64_t before = watch_.operations();
  pivots_ = FlatMap(columns.size());
  chain_of_.clear();
  for (auto column = columns.rbegin(); column != columns.rend(); ++column) {
    if (watch_.operations() - before > most) return std::nullopt;
    const Simplex pivot = reduce(*column);
    const float birth = filtration_.length(longest_edge(*column));
    if (pivot == Stream::kEnd) {
      pairs.add_bar(birth, std::numeric_limits<float>::infinity());
      continue;
    }
    pivots_.put(pivot, static_cast<std::uint32_t>(chain_of_.size()));
    chain_of_.push_back(store_chain());
    pairs.add(birth, filtration_.length(longest_edge(pivot)), pivot);
  }
  std::sort(pairs.ends.begin(), pairs.ends.end());
  return pairs;
}

// Adds columns until the smallest coface that does not cancel is the pivot of no other; returns it,
// or kEnd if everything cancels.
template <int kVertices>
Simplex Reduction<kVertices>::reduce(Simplex column) {
  streams_.clear();
  heap_.clear();
  free_.clear();
  stream_of_.clear();
  n_alive_ = 0;
  begin(column);
  Rank lune = longest_edge(column);
  while (!heap_.empty()) {
    const Simplex coface = heap_.front().coface;
    if constexpr (kVertices == 3)
      if (longest_edge(coface) != lune) {
        lune = longest_edge(coface);
        if (leave_lune(lune)) continue;
      }
    if (find_heads_at(coface) % 2 == 1) {
      Simplex facet = 0;
      if (const std::uint32_t* other = pivots_.find(coface))
        add(*other, coface);
      else if (is_apparent(coface, facet))
        toggle(facet, coface);  // the column of an apparent pair is its simplex alone
      else if (!ends_at_once(coface))
        return coface;
    }
    advance_top();
  }
  return Stream::kEnd;
}

// The triangle of a component of a lune begins with those of all its vertices, which have no tetrahedron
// of the same longest edge in common.
template <int kVertices>
void Reduction<kVertices>::begin(Simplex column) {
  if constexpr (kVertices == 2) {
    open(Stream(filtration_, column));
  } else {
    const Rank edge = longest_edge(column);
    for (const Vertex v : lune_.component(edge, rest(column)))
      open(Stream(filtration_, simplex(edge, v), simplex(edge, 0xFFFFFFFF)));
  }
}

// Whether a tetrahedron is the pivot of a triangle that is no column, since it has the same longest edge. Then
// that column is added.
template <int kVertices>
bool Reduction<kVertices>::ends_at_once(Simplex coface) {
  if constexpr (kVertices == 3) {
    const Rank edge = longest_edge(coface);
    const std::vector<Vertex>* side = lune_.joined_first_by(edge, {rest(coface) >> 16, rest(coface) & 0xFFFF});
    if (side == nullptr) return false;
    for (const Vertex v : *side) toggle(simplex(edge, v), coface);
    return true;
  }
  return false;
}

template <int kVertices>
void Reduction<kVertices>::open(Stream stream) {
  std::uint32_t number = static_cast<std::uint32_t>(streams_.size());
  if (free_.empty()) {
    streams_.push_back(stream);
    if (streams_.size() == kFewStreams + 1)
      for (std::uint32_t s = 0; s < number; ++s)
        if (streams_[s].alive) stream_of_.put(streams_[s].simplex(), s);
  } else {
    number = free_.back();
    free_.pop_back();
    streams_[number] = stream;
  }
  if (streams_.size() > kFewStreams) stream_of_.put(stream.simplex(), number);
  ++n_alive_;
  push_head(number);
}

// Adds one simplex to the chain, or takes it out if it is there.
template <int kVertices>
void Reduction<kVertices>::toggle(Simplex simplex, Simplex after) {
  const std::uint32_t present = find_stream(simplex);
  if (present == kNone) {
    open(Stream(filtration_, simplex, after));
  } else {
    streams_[present].alive = false;
    --n_alive_;
  }
}

// The sum has the same pivot either way round, so the sparser of the two chains stays with it
// ("swap reduction": Bauer, Bin Masood, Giunti, Houry, Kerber, Rathod, arXiv:2211.09075).
template <int kVertices>
void Reduction<kVertices>::add(std::uint32_t column, Simplex pivot) {
  const Chain chain = chain_of_[column];
  if (n_alive_ < chain.size) chain_of_[column] = store_chain();
  for (std::size_t k = 0; k < chain.size; ++k) toggle(chains_[chain.begin + k], pivot);
}

// The tetrahedra at work with the longest edge `edge` are edges of the graph in its lune, and a cocycle there.
// If they are all that leaves a set of vertices, the triangles of these with `edge` cancel them at once;
// one by one, that may take all vertices on the other side and the edges between them. Returns whether
// that was done; then no such tetrahedron is left.
template <int kVertices>
bool Reduction<kVertices>::leave_lune(Rank edge) {
  collect_heads_in_lune(edge);
  const std::vector<Vertex>* cut = lune_.find(edge, links_);
  if (cut == nullptr) return false;
  for (const std::uint32_t stream : own_) {
    streams_[stream].alive = false;
    --n_alive_;
  }
  while (!heap_.empty() && longest_edge(heap_.front().coface) == edge) {
    find_heads_at(heap_.front().coface);
    advance_top();
  }
  for (const Vertex v : *cut) toggle(simplex(edge, v), simplex(edge, 0xFFFFFFFF));
  return true;
}

// Sets `links_` to the sum of the heads whose longest edge is `edge`, and `own_` to the streams that may have
// more such cofaces: those whose own longest edge it is. They count in no sum.
template <int kVertices>
void Reduction<kVertices>::collect_heads_in_lune(Rank edge) {
  links_.clear();
  own_.clear();
  top_.assign(1, 0);
  for (std::size_t t = 0; t < top_.size(); ++t) {
    const Head& head = heap_[top_[t]];
    const Stream& stream = streams_[head.stream];
    if (stream.alive && longest_edge(stream.simplex()) == edge)
      own_.push_back(head.stream);
    else if (stream.alive)
      links_.emplace_back(rest(head.coface) >> 16, rest(head.coface) & 0xFFFF);
    for (std::size_t child = 2 * top_[t] + 1; child < std::min(heap_.size(), 2 * top_[t] + 3); ++child)
      if (longest_edge(heap_[child].coface) == edge) top_.push_back(child);
  }
  std::sort(links_.begin(), links_.end());
  std::size_t n_odd = 0;
  for (std::size_t k = 0; k < links_.size(); ++k) {
    if (n_odd > 0 && links_[n_odd - 1] == links_[k]) --n_odd;
    else links_[n_odd++] = links_[k];
  }
  links_.resize(n_odd);
}

// Finds the heads at `coface`, which lie together at the top of the heap, and returns how many count;
// an even number of them cancels. They stay until they are advanced: what is opened meanwhile has its
// head behind them, and moves none.
template <int kVertices>
std::size_t Reduction<kVertices>::find_heads_at(Simplex coface) {
  std::size_t n_counting = 0;
  top_.assign(1, 0);
  for (std::size_t t = 0; t < top_.size(); ++t) {
    n_counting += streams_[heap_[top_[t]].stream].alive;
    for (std::size_t child = 2 * top_[t] + 1; child < std::min(heap_.size(), 2 * top_[t] + 3); ++child)
      if (heap_[child].coface == coface) top_.push_back(child);
  }
  return n_counting;
}

// From the lowest up, so that what moves up from below is in order already.
template <int kVertices>
void Reduction<kVertices>::advance_top() {
  for (auto place = top_.rbegin(); place != top_.rend(); ++place) {
    Head head = heap_[*place];
    if (streams_[head.stream].alive) {
      streams_[head.stream].advance();
      head.coface = next_of(head.stream);
    } else {
      free_.push_back(head.stream);
      head.coface = Stream::kEnd;
    }
    if (head.coface == Stream::kEnd) {
      head = heap_.back();
      heap_.pop_back();
      if (*place == heap_.size()) continue;
    }
    sift_down(*place, head);
  }
}

template <int kVertices>
void Reduction<kVertices>::sift_down(std::size_t place, Head head) {
  const std::size_t size = heap_.size();
  for (std::size_t child; (child = 2 * place + 1) < size; place = child) {
    child += child + 1 < size && heap_[child + 1].coface < heap_[child].coface;
    if (heap_[child].coface >= head.coface) break;
    heap_[place] = heap_[child];
  }
  heap_[place] = head;
}

template <int kVertices>
Simplex Reduction<kVertices>::next_of(std::uint32_t stream) {
  watch_.count(1);
  return streams_[stream].head(filtration_, scratch_);
}

template <int kVertices>
void Reduction<kVertices>::push_head(std::uint32_t stream) {
  const Simplex coface = next_of(stream);
  if (coface == Stream::kEnd) return;
  std::size_t place = heap_.size();
  heap_.push_back({coface, stream});
  for (std::size_t parent; place > 0 && heap_[parent = (place - 1) / 2].coface > coface; place = parent)
    heap_[place] = heap_[parent];
  heap_[place] = {coface, stream};
}

// Whether `coface` is the smallest coface of its largest facet, which then is its partner.
template <int kVertices>
bool Reduction<kVertices>::is_apparent(Simplex coface, Simplex& facet) const {
  const Rank edge = longest_edge(coface);
  const Vertex a = filtration_.high(edge), b = filtration_.low(edge);
  if constexpr (kVertices == 2) {
    facet = simplex(edge, 0);
    return first_in_lune(filtration_, a, b, b, edge, 0, rest(coface)) == rest(coface);
  }
  const Vertex high = rest(coface) >> 16, low = rest(coface) & 0xFFFF;
  facet = simplex(edge, high);
  return first_in_lune(filtration_, a, b, high, edge, 0, low) == low;
}

template <int kVertices>
std::uint32_t Reduction<kVertices>::find_stream(Simplex simplex) const {
  if (streams_.size() > kFewStreams) {
    const std::uint32_t* found = stream_of_.find(simplex);
    const bool present = found != nullptr && streams_[*found].alive && streams_[*found].simplex() == simplex;
    return present ? *found : kNone;
  }
  for (std::uint32_t s = 0; s < streams_.size(); ++s)
    if (streams_[s].alive && streams_[s].simplex() == simplex) return s;
  return kNone;
}

// Keeps the simplices of the chain at work.
template <int kVertices>
typename Reduction<kVertices>::Chain Reduction<kVertices>::store_chain() {
  const Chain chain{chains_.size(), n_alive_};
  for (const Stream& stream : streams_)
    if (stream.alive) chains_.push_back(stream.simplex());
  return chain;
}

template class Reduction<2>;
template class Reduction<3>;

}  // namespace lazy
