// For every simplex of one dimension the classes that it meets, as a row of bits.
#pragma once

#include <initializer_list>
#include <vector>

#include "edges/filtration.hpp"
#include "kernels/kernels.hpp"
#include "watch.hpp"

namespace lazy {

// Words summed that are as much work as one search for a coface, which reads rows of codes: a point.
inline constexpr std::size_t kWordsPerOperation = 2;

// Rows of bits, one a simplex, one bit a living class of cohomology: the values of cocycles, one a
// class, on the simplices so far ("annotations": Busaryev, Cabello, Chen, Dey, Wang 2012; persistence
// with them: Dey, Fan, Wang 2014). The sum of the rows of a cycle says which classes it is made of.
//
// A relation is such a sum that must become zero. It ends the youngest of its classes, which is then
// put as the sum of the others in every row. That is done for many relations at a time, so that
// rows are read less often; until then a relation waits and only what is asked is reduced by it.
class Annotations {
 public:
  // The number of a row; kZero is that of every simplex that meets no class.
  using Row = std::uint32_t;
  static constexpr Row kZero = 0;
  static constexpr Row kMostRows = 0xFFFF0000;

  // `unit` is how many words make one operation of the budget.
  Annotations(Watch& watch, std::size_t unit) : watch_(watch), unit_(unit) {}

  std::size_t n_alive() const { return slots_.size() - free_.size() - waiting_.size(); }

  // A row: of a new class alone, or the sum of at most four others, which may be one that is there.
  Row begin_class(Rank birth);
  Row sum_of(std::initializer_list<Row> rows);

  // Makes the sum of at most four rows zero. Returns the birth of the class that ends by it, or
  // kNoRank where the sum is zero already.
  Rank relate(std::initializer_list<Row> rows);

  // Births of the classes that are alive.
  std::vector<Rank> alive() const;

 private:
  using Word = std::uint64_t;
  struct Relation {
    std::size_t slot;  // of the class that it ends; set in this relation and no other that waits
    Word* words;
  };

  static constexpr std::size_t kRowsPerBlock = 1024;
  static constexpr std::size_t kMostWaiting = 512;

  Word* words_of(std::size_t index) {
    return blocks_[index / kRowsPerBlock].data() + index % kRowsPerBlock * stride_;
  }
  // Those of `rows` that are not zero and not there twice; returns how many.
  std::size_t gather(std::initializer_list<Row> rows, Row* terms) const;
  bool sum(Word* words, const Row* terms, std::size_t n_terms);
  Word* append();
  std::size_t take_slot(Rank birth);
  void widen();
  std::size_t reduce(Word* words, bool& any) const;
  void forget();
  std::size_t youngest(const Word* sum) const;
  void await(std::size_t slot, const Word* sum);
  void settle();
  static bool has(const Word* words, std::size_t slot) { return words[slot / 64] >> slot % 64 & 1; }
  void count(std::size_t words);

  Watch& watch_;
  const std::size_t unit_;
  std::size_t uncounted_ = 0;
  std::size_t n_rows_ = 0;  // that are kept; the newest has the number first_ + n_rows_ - 1
  std::size_t first_ = 1;   // rows before this one are zero by now
  std::size_t stride_ = kWordsPerLine;
  std::vector<Array<Word>> blocks_;
  std::vector<Rank> slots_;        // birth of the class of each bit, kNoRank where there is none
  std::vector<std::size_t> free_;  // bits of classes that ended
  std::vector<Relation> waiting_;
  Array<Word> waiting_words_;
  std::vector<Word> ended_;               // as a row: the classes that relations that wait end
  std::vector<const Word*> relation_of_;  // by slot
  std::vector<Word> sum_;
};

}  // namespace lazy
