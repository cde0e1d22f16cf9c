#include "reduction/lune_cut.hpp"

#include <algorithm>

#include "edges/lune.hpp"
#include "watch.hpp"

namespace lazy {

const std::vector<Vertex>* LuneCut::find(Rank edge, const std::vector<Link>& links) {
  edge_ = edge;
  links_ = &links;
  Split outcome = Split::too_large;
  for (std::size_t limit = 16; outcome == Split::too_large && limit <= 1024; limit *= 8) outcome = split(limit);
  cut_.clear();
  for (const Vertex v : seen_)
    if (parts_[part_of_[v]].side == 1) cut_.push_back(v);
  forget();
  return outcome == Split::done ? &cut_ : nullptr;
}

// Looks at parts up to `limit` vertices; all larger ones are put on one side.
LuneCut::Split LuneCut::split(std::size_t limit) {
  forget();
  for (const Link& link : *links_)
    for (const Vertex end : {link.first, link.second})
      if (part_of_[end] == kNone) explore(end, limit);
  return choose_sides();
}

void LuneCut::explore(Vertex start, std::size_t limit) {
  const std::uint32_t part = static_cast<std::uint32_t>(parts_.size());
  const Vertex a = filtration_.high(edge_), b = filtration_.low(edge_);
  const Vertex n = static_cast<Vertex>(filtration_.size());
  const std::size_t first = seen_.size();
  const auto take = [&](Vertex v) {
    part_of_[v] = part;
    seen_.push_back(v);
  };
  parts_.emplace_back();
  take(start);
  for (std::size_t k = first; k < seen_.size(); ++k) {
    const Vertex v = seen_[k];
    watch_.count(1);
    for (Vertex q = 0; (q = first_in_lune(filtration_, a, b, v, edge_, q, n)) < n; ++q) {
      if (part_of_[q] == part || is_link(v, q)) continue;
      if (part_of_[q] != kNone) {
        // A large part, of which not all was seen.
        for (std::size_t m = first; m < seen_.size(); ++m) part_of_[seen_[m]] = part_of_[q];
        return;
      }
      take(q);
      if (seen_.size() - first <= limit) continue;
      parts_[part].is_large = true;
      return;
    }
  }
  parts_[part].size = seen_.size() - first;
}

// Both ends of a link are on different sides, or nothing separates them.
LuneCut::Split LuneCut::choose_sides() {
  for (const Link& link : *links_)
    if (part_of_[link.first] == part_of_[link.second]) return Split::impossible;
  for (Part& part : parts_)
    if (part.is_large) part.side = 0;
  for (;;) {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Link& link : *links_) {
        Part &x = parts_[part_of_[link.first]], &y = parts_[part_of_[link.second]];
        if (x.side == kUnknown && y.side == kUnknown) continue;
        if (x.side == y.side) return Split::too_large;
        changed |= x.side == kUnknown || y.side == kUnknown;
        if (x.side == kUnknown) x.side = 1 - y.side;
        if (y.side == kUnknown) y.side = 1 - x.side;
      }
    }
    // No link leads to what is left: the largest part stays.
    Part* largest = nullptr;
    for (const Link& link : *links_)
      for (const Vertex end : {link.first, link.second}) {
        Part& part = parts_[part_of_[end]];
        if (part.side == kUnknown && (largest == nullptr || part.size > largest->size)) largest = &part;
      }
    if (largest == nullptr) return Split::done;
    largest->side = 0;
  }
}

const std::vector<Vertex>& LuneCut::component(Rank edge, Vertex vertex) {
  static const std::vector<Link> kNoLinks;
  edge_ = edge;
  links_ = &kNoLinks;
  forget();
  explore(vertex, part_of_.size());
  cut_ = seen_;
  forget();
  return cut_;
}

// Both ends are followed in turn, each further than before, until one goes no further or they meet. What is
// earlier than the link (m, c) are the edges between vertices below m, and from m to those below c.
const std::vector<Vertex>* LuneCut::joined_first_by(Rank edge, Link link) {
  edge_ = edge;
  const auto [high, low] = link;
  const Vertex a = filtration_.high(edge_), b = filtration_.low(edge_);
  for (std::size_t limit = 4;; limit *= 4)
    for (const bool from_low : {true, false}) {
      forget();
      cut_.clear();
      const auto take = [&](Vertex v) {
        part_of_[v] = 0;
        cut_.push_back(v);
      };
      take(from_low ? low : high);
      bool met = false;
      for (std::size_t k = 0; k < cut_.size() && cut_.size() <= limit && !met; ++k) {
        const Vertex v = cut_[k], end = v == high ? low : high;
        watch_.count(1);
        for (Vertex q = 0; !met && cut_.size() <= limit && (q = first_in_lune(filtration_, a, b, v, edge_, q, end)) < end; ++q) {
          if (part_of_[q] != kNone) continue;
          take(q);
          met = from_low ? q < low && filtration_.rank(q, high) < edge_ : q == low;
        }
      }
      seen_ = cut_;
      forget();
      if (met) return nullptr;
      if (cut_.size() <= limit) return &cut_;
    }
}

bool LuneCut::is_link(Vertex a, Vertex b) const {
  return std::binary_search(links_->begin(), links_->end(), Link(std::max(a, b), std::min(a, b)));
}

void LuneCut::forget() {
  for (const Vertex v : seen_) part_of_[v] = kNone;
  seen_.clear();
  parts_.clear();
}

}  // namespace lazy
