// Matrix reduction over Z/2 with columns that are streams.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "edges/filtration.hpp"
#include "reduction/coface_stream.hpp"
#include "reduction/flat_map.hpp"
#include "reduction/lune_cut.hpp"

namespace lazy {

struct Bar {
  float birth, death;
};

// What is known of one dimension when it is finished.
struct Pairs {
  std::vector<Bar> bars;  // those of length zero are left out
  // Cofaces that end a bar, those of length zero included, ascending. They begin none of the next
  // dimension ("clearing": Chen and Kerber 2011).
  std::vector<Simplex> ends;

  void add_bar(float birth, float death) {
    if (death > birth) bars.push_back({birth, death});
  }
  void add(float birth, float death, Simplex end) {
    add_bar(birth, death);
    ends.push_back(end);
  }
};

// Persistent cohomology (de Silva, Morozov, Vejdemo-Johansson 2011) as Ripser does it: columns are the
// coboundaries of simplices, reduced in decreasing order of the simplices, and the pivot of a column
// is its smallest coface. A sum of columns is the heap of the heads of their streams. When column P is
// added because the pivot t of both is the same, everything before t cancels, within the sum and
// within P; so the streams of P start behind t.
template <int kVertices>
class Reduction {
 public:
  Reduction(const Filtration& filtration, Watch& watch)
      : filtration_(filtration), watch_(watch), chains_(watch), lune_(filtration, watch) {}

  // `columns` are in ascending order. Gives up, with nothing, soon after `most` operations.
  std::optional<Pairs> run(const std::vector<Simplex>& columns, std::uint64_t most);

 private:
  using Stream = CofaceStream<kVertices>;

  // A member of the heap: a stream and its head.
  struct Head {
    Simplex coface;
    std::uint32_t stream;
  };

  // Where in `chains_` the simplices lie that were summed for a finished column.
  struct Chain {
    std::size_t begin = 0, size = 0;
  };

  Simplex reduce(Simplex column);
  void begin(Simplex column);
  void open(Stream stream);
  void toggle(Simplex simplex, Simplex after);
  void add(std::uint32_t column, Simplex pivot);
  bool leave_lune(Rank edge);
  void collect_heads_in_lune(Rank edge);
  std::size_t find_heads_at(Simplex coface);
  void advance_top();
  void sift_down(std::size_t place, Head head);
  Simplex next_of(std::uint32_t stream);
  void push_head(std::uint32_t stream);
  bool is_apparent(Simplex coface, Simplex& facet) const;
  bool ends_at_once(Simplex coface);
  std::uint32_t find_stream(Simplex simplex) const;
  Chain store_chain();

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::size_t kFewStreams = 16;

  const Filtration& filtration_;
  Watch& watch_;

  FlatMap pivots_;             // pivot to number of the finished column
  std::vector<Chain> chain_of_;
  List<Simplex> chains_;

  // The column at work.
  std::vector<Stream> streams_;
  std::vector<Head> heap_;            // the smallest on top
  std::vector<std::size_t> top_;      // places of heads at one coface, ascending
  std::vector<std::uint32_t> free_;   // places of streams that are dead and no longer in the heap
  FlatMap stream_of_;                 // used when there are more than a few streams
  std::size_t n_alive_ = 0;
  std::vector<Code> scratch_;

  // The sum at work within a lune.
  LuneCut lune_;
  std::vector<LuneCut::Link> links_;
  std::vector<std::uint32_t> own_;    // streams of the lune's own triangles
};

}  // namespace lazy
