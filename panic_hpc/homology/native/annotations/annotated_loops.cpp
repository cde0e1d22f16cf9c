#include "annotations/annotated_loops.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "annotations/annotations.hpp"
#include "edges/adjacency.hpp"
#include "edges/components.hpp"
#include "edges/remaining.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

constexpr Rank kAhead = 6;  // edges whose rows are fetched into the cache in advance

class Sweep {
 public:
  Sweep(Filtration& filtration, Watch& watch, std::size_t& n_begun,
        const std::function<bool(float)>& none_begins_after)
      : filtration_(filtration), watch_(watch), n_begun_(n_begun), none_begins_after_(none_begins_after), graph_(filtration.size(), watch.account),
        classes_(watch, kWordsPerOperation * filtration.size()), components_(filtration.size()),
        entries_(n_pairs(filtration.size()), watch.account), lune_(graph_.words()), rest_(graph_.words()) {
    for (Vertex v = 0; v < filtration.size(); ++v) graph_.join(v, v);
  }

  SweptLoops run() {
    const Rank n_edges = static_cast<Rank>(filtration_.n_edges());
    bool is_over = false;
    for (Rank edge = 0; edge < n_edges && !is_over; ++edge) {
      while (edge + kAhead >= filtration_.n_sorted() && filtration_.n_sorted() < n_edges) filtration_.sort_more();
      if (edge + kAhead < n_edges) {
        graph_.prefetch(filtration_.high(edge + kAhead));
        graph_.prefetch(filtration_.low(edge + kAhead));
      }
      add(edge, filtration_.high(edge), filtration_.low(edge));
      watch_.count(1);
      is_over = is_over_after(edge, n_edges);
    }
    for (const Rank birth : classes_.alive())
      pairs_.bars.push_back({filtration_.length(birth), std::numeric_limits<float>::infinity()});
    return {std::move(pairs_), is_over};
  }

  static std::size_t bytes(std::size_t n) { return Adjacency::bytes(n) + n_pairs(n) * sizeof(Entry); }

 private:
  using Row = Annotations::Row;

  // What is known of an edge: the number of its row, or kUnasked and the first vertex of its lune.
  using Entry = std::uint32_t;
  static constexpr Entry kUnasked = Annotations::kMostRows;

  static std::size_t n_pairs(std::size_t n) { return n * (n - 1) / 2; }
  Entry& entry(Vertex a, Vertex b) {
    const std::size_t high = std::max(a, b), low = std::min(a, b);
    return entries_[high * (high - 1) / 2 + low];
  }

  // Asked after the last of equal edges, and rarely, since the answer takes as long as thousands of edges.
  bool is_over_after(Rank edge, Rank n_edges) {
    if (classes_.n_alive() > 0 || n_joined_ + 1 < filtration_.size()) return false;
    const bool is_last = edge + 1 == n_edges;
    if (!is_last && (edge < next_look_ || filtration_.length(edge + 1) == filtration_.length(edge))) return false;
    next_look_ = edge + edge / 4;
    return none_begins_after_(filtration_.length(edge));
  }

  // Adds an edge with its relations.
  void add(Rank edge, Vertex a, Vertex b) {
    const std::size_t first = kernels_.meet(graph_.row(a), graph_.row(b), lune_.data(), lune_.size());
    if (first == lune_.size() * 64) {
      entry(a, b) = row_of_empty_lune(edge, a, b);
    } else {
      entry(a, b) = kUnasked + static_cast<Vertex>(first);
      if (classes_.n_alive() > 0 &&
          kernels_.others(graph_.row(0), lune_.data(), first, rest_.data(), rest_.size()))
        relate_components(edge, a, b, static_cast<Vertex>(first));
    }
    graph_.join(a, b);
  }

  Row row_of_empty_lune(Rank edge, Vertex a, Vertex b) {
    if (components_.join(a, b)) {
      ++n_joined_;
      return Annotations::kZero;
    }
    ++n_begun_;
    return classes_.begin_class(edge);
  }

  // One relation a component of the lune but the first.
  void relate_components(Rank edge, Vertex a, Vertex b, Vertex first) {
    take_components(graph_, rest_, first / 64, open_, [&](Vertex v) {
      const Rank birth = classes_.relate({row_of(a, first), row_of(b, first), row_of(a, v), row_of(b, v)});
      if (birth != kNoRank) pairs_.add(filtration_.length(birth), filtration_.length(edge), simplex(edge, v));
    });
  }

  // The row of an earlier edge: the sum of those of two others, by the triangle with the first vertex of
  // its lune, which are asked for in turn.
  Row row_of(Vertex a, Vertex b) {
    if (const Entry known = entry(a, b); known < kUnasked) return known;
    asked_.assign(1, {a, b});
    while (!asked_.empty()) {
      const auto [x, y] = asked_.back();
      Entry& here = entry(x, y);
      if (here < kUnasked) {
        asked_.pop_back();
        continue;
      }
      const Vertex v = here - kUnasked;
      const Entry p = entry(x, v), q = entry(y, v);
      if (p < kUnasked && q < kUnasked) {
        here = classes_.sum_of({p, q});
        asked_.pop_back();
      } else {
        if (p >= kUnasked) asked_.push_back({x, v});
        if (q >= kUnasked) asked_.push_back({y, v});
      }
    }
    return entry(a, b);
  }

  Filtration& filtration_;
  const Kernels& kernels_ = kernels();
  Watch& watch_;
  std::size_t& n_begun_;
  const std::function<bool(float)>& none_begins_after_;
  std::size_t n_joined_ = 0;  // edges of the minimum spanning tree so far
  Rank next_look_ = 0;
  Adjacency graph_;  // each vertex joined with itself
  Annotations classes_;
  Components components_;
  Array<Entry> entries_;  // of the edges so far, by their ends
  Pairs pairs_;

  // Of the edge at work.
  std::vector<std::uint64_t> lune_, rest_;
  std::vector<Vertex> open_;
  std::vector<std::pair<Vertex, Vertex>> asked_;
};

}  // namespace

SweptLoops annotated_loops(Filtration& filtration, Watch& watch, std::size_t& n_begun,
                           const std::function<bool(float)>& none_begins_after) {
  watch.need(Sweep::bytes(filtration.size()));
  return Sweep(filtration, watch, n_begun, none_begins_after).run();
}

}  // namespace lazy
