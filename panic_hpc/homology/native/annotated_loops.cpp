#include "annotated_loops.hpp"

#include "annotations.hpp"
#include "remaining.hpp"

namespace lazy {
namespace {

class Sweep {
 public:
  Sweep(const Filtration& filtration, const std::vector<Simplex>& columns, Watch& watch)
      : filtration_(filtration), columns_(columns), watch_(watch), graph_(filtration.size(), watch.account),
        classes_(watch, kWordsPerOperation * filtration.size()), rows_(watch),
        left_(graph_.words()) {}

  Pairs run() {
    const Rank n_edges = static_cast<Rank>(filtration_.n_edges());
    for (Rank edge = 0; edge < n_edges && (next_ < columns_.size() || classes_.n_alive() > 0); ++edge) {
      rows_.push_back(row_of(edge, filtration_.high(edge), filtration_.low(edge)));
      watch_.count(1);
    }
    for (const Rank birth : classes_.alive())
      pairs_.bars.push_back({filtration_.length(birth), std::numeric_limits<float>::infinity()});
    return std::move(pairs_);
  }

 private:
  using Row = Annotations::Row;

  // Adds an edge with its relations.
  Row row_of(Rank edge, Vertex a, Vertex b) {
    const bool any = left_.set_to_intersection(graph_.row(a), graph_.row(b));
    graph_.join(a, b);
    if (!any) {
      const bool closes = next_ < columns_.size() && longest_edge(columns_[next_]) == edge;
      next_ += closes;
      return closes ? classes_.begin_class(edge) : Annotations::kZero;
    }
    const Vertex first = left_.first();
    const Row row = classes_.sum_of({row_of(a, first), row_of(b, first)});
    left_.take_component(graph_, first);
    for (Vertex v; classes_.n_alive() > 0 && (v = left_.first()) != kNoVertex; left_.take_component(graph_, v))
      if (const Rank birth = classes_.relate({row, row_of(a, v), row_of(b, v)}); birth != kNoRank)
        pairs_.add(filtration_.length(birth), filtration_.length(edge), simplex(edge, v));
    return row;
  }

  Row row_of(Vertex a, Vertex b) const { return rows_[filtration_.rank(a, b)]; }

  const Filtration& filtration_;
  const std::vector<Simplex>& columns_;
  Watch& watch_;
  Adjacency graph_;
  Annotations classes_;
  List<Row> rows_;         // of the edges so far
  std::size_t next_ = 0;   // of the columns
  Remaining left_;         // of the lune, less the components that are done
  Pairs pairs_;
};

}  // namespace

Pairs annotated_loops(const Filtration& filtration, const std::vector<Simplex>& columns, Watch& watch) {
  watch.need(Adjacency::bytes(filtration.size()));
  return Sweep(filtration, columns, watch).run();
}

}  // namespace lazy
