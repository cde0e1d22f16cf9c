#include "annotations/annotated_voids.hpp"

#include "annotations/annotations.hpp"
#include "edges/components.hpp"
#include "edges/remaining.hpp"

namespace lazy {
namespace {

class Sweep {
 public:
  Sweep(const Filtration& filtration, const std::vector<Simplex>& ends, Watch& watch)
      : filtration_(filtration), ends_(ends), watch_(watch),
        graph_(filtration.size(), watch.account),
        classes_(watch, kWordsPerOperation * filtration.size()), kept_(watch), lunes_(watch), lune_begins_(watch),
        rows_(watch), left_(graph_.words()), earlier_(graph_.words()), below_(graph_.words()) {}

  Pairs run() {
    const Rank n_edges = static_cast<Rank>(filtration_.n_edges());
    for (edge_ = 0; edge_ < n_edges; ++edge_) {
      a_ = filtration_.high(edge_);
      b_ = filtration_.low(edge_);
      add();
      graph_.join(a_, b_);
      watch_.count(1);
    }
    for (const Rank birth : classes_.alive())
      pairs_.bars.push_back({filtration_.length(birth), std::numeric_limits<float>::infinity()});
    return std::move(pairs_);
  }

  std::size_t n_begun() const { return n_begun_; }

 private:
  using Row = Annotations::Row;

  // An edge of the lune's graph, the later vertex first.
  struct Link {
    std::size_t later, earlier;  // positions in lune_
  };

  // Adds the edge with all that it is the longest of.
  void add() {
    kept_.push_back(kNone);
    if (!left_.set_to_intersection(graph_.row(a_), graph_.row(b_))) return;
    lune_of_edge_ = left_.bits();
    find_roots();
    if (classes_.n_alive() == 0) return;
    keep_lune();
    find_links();
    assign_rows();
    for (const Link& link : cycles_) relate(link);
  }

  // 1) The first vertex of each component of the lune, which may begin a void.
  void find_roots() {
    root_rows_.assign(1, {left_.first(), Annotations::kZero});
    left_.take_component(graph_, left_.first());
    for (Vertex v; (v = left_.first()) != kNoVertex; left_.take_component(graph_, v))
      root_rows_.push_back({v, row_of_root(v)});
  }

  Row row_of_root(Vertex v) {
    if (next_ < ends_.size() && ends_[next_] == simplex(edge_, v)) {
      ++next_;
      return Annotations::kZero;
    }
    ++n_begun_;
    return classes_.begin_class(edge_);
  }

  // 2) The vertices of the lune, kept for later edges.
  void keep_lune() {
    kept_.back() = static_cast<std::uint32_t>(lune_begins_.size());
    lune_begins_.push_back(rows_.size());
    lunes_.append(lune_of_edge_);
    lune_.clear();
    for (std::size_t w = 0; w < graph_.words(); ++w)
      for (std::uint64_t bits = lune_of_edge_[w]; bits != 0; bits &= bits - 1) lune_.push_back(vertex_of(w, bits));
    rows_.append(lune_.size(), kUnset);
  }

  // 3) A spanning forest, and the links that close cycles.
  void find_links() {
    forest_.assign(lune_.size(), {});
    cycles_.clear();
    Components components(lune_.size());
    std::fill(below_.begin(), below_.end(), 0);
    for (std::size_t k = 0; k < lune_.size(); ++k) {
      const Vertex x = lune_[k];
      earlier_.set_to_intersection(graph_.row(x), below_.data());
      for (Vertex y; (y = earlier_.first()) != kNoVertex; earlier_.take_component(graph_, y)) {
        const std::size_t j = position(y);
        if (components.join(static_cast<Vertex>(k), static_cast<Vertex>(j))) {
          forest_[k].push_back(j);
          forest_[j].push_back(k);
        } else {
          cycles_.push_back({k, j});
        }
      }
      below_[x / 64] |= std::uint64_t{1} << x % 64;
    }
  }

  // 4) Rows along the forest, from the roots on.
  void assign_rows() {
    const std::size_t base = lune_begins_.back();
    for (const auto& [root, row] : root_rows_) {
      rows_[base + position(root)] = row;
      stack_.assign(1, position(root));
      while (!stack_.empty()) {
        const std::size_t from = stack_.back();
        stack_.pop_back();
        for (const std::size_t to : forest_[from]) {
          if (rows_[base + to] != kUnset) continue;
          const Vertex x = lune_[from], y = lune_[to];
          rows_[base + to] = classes_.sum_of({rows_[base + from], row_of(a_, x, y), row_of(b_, x, y)});
          stack_.push_back(to);
        }
      }
    }
  }

  // 5) One relation a cycle.
  void relate(const Link& link) {
    const std::size_t base = lune_begins_.back();
    const Vertex x = lune_[link.later], y = lune_[link.earlier];
    const Rank birth = classes_.relate({rows_[base + link.later], rows_[base + link.earlier],
                                        row_of(a_, x, y), row_of(b_, x, y)});
    if (birth != kNoRank) pairs_.add_bar(filtration_.length(birth), filtration_.length(edge_));
  }

  // How many vertices of a lune come before `v`; of the edge at work, or of one that was kept.
  std::size_t position(Vertex v) const { return position(lune_begins_.size() - 1, v); }
  std::size_t position(std::size_t kept, Vertex v) const {
    const std::uint64_t* lune = lunes_.data() + kept * graph_.words();
    std::size_t n = 0;
    for (std::size_t w = 0; w < v / 64; ++w) n += static_cast<unsigned>(__builtin_popcountll(lune[w]));
    return n + static_cast<unsigned>(__builtin_popcountll(lune[v / 64] & ((std::uint64_t{1} << v % 64) - 1)));
  }

  Row row_of(Vertex i, Vertex j, Vertex k) const {
    const Rank x = filtration_.rank(j, k), y = filtration_.rank(i, k), z = filtration_.rank(i, j);
    if (x > y && x > z) return row_of(x, i);
    return y > z ? row_of(y, j) : row_of(z, k);
  }

  Row row_of(Rank edge, Vertex v) const {
    const std::uint32_t kept = kept_[edge];
    return kept == kNone ? Annotations::kZero : rows_[lune_begins_[kept] + position(kept, v)];
  }

  static constexpr Row kUnset = std::numeric_limits<Row>::max();
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  const Filtration& filtration_;
  const std::vector<Simplex>& ends_;
  Watch& watch_;
  Adjacency graph_;
  Annotations classes_;
  std::size_t next_ = 0;  // of the ends
  std::size_t n_begun_ = 0;
  Pairs pairs_;

  // Of all edges so far.
  List<std::uint32_t> kept_;  // number of its lune, kNone while no void is alive
  // Of the lunes that were kept.
  List<std::uint64_t> lunes_;      // as bits
  List<std::size_t> lune_begins_;  // in rows_
  List<Row> rows_;                        // a vertex of the lune, which makes a triangle

  // Of the edge at work.
  Rank edge_ = 0;
  Vertex a_ = 0, b_ = 0;
  Remaining left_, earlier_;
  std::vector<std::uint64_t> below_;
  std::vector<std::uint64_t> lune_of_edge_;
  std::vector<Vertex> lune_;
  std::vector<std::pair<Vertex, Row>> root_rows_;
  std::vector<std::vector<std::size_t>> forest_;
  std::vector<Link> cycles_;
  std::vector<std::size_t> stack_;
};

}  // namespace

Pairs annotated_voids(const Filtration& filtration, const std::vector<Simplex>& ends, Watch& watch,
                      std::size_t& n_begun) {
  watch.need(Adjacency::bytes(filtration.size()));
  Sweep sweep(filtration, ends, watch);
  Pairs pairs = sweep.run();
  n_begun = sweep.n_begun();
  return pairs;
}

}  // namespace lazy
