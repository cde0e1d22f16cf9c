#include "annotations/annotations.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace lazy {

namespace {

constexpr std::size_t kMostTerms = 4;

}  // namespace

Annotations::Row Annotations::begin_class(Rank birth) {
  const std::size_t slot = take_slot(birth);
  Word* words = append();
  std::memset(words, 0, stride_ * sizeof(Word));
  words[slot / 64] |= Word{1} << slot % 64;
  return static_cast<Row>(first_ + n_rows_ - 1);
}

Annotations::Row Annotations::sum_of(std::initializer_list<Row> rows) {
  Row terms[kMostTerms];
  const std::size_t n_terms = gather(rows, terms);
  if (n_terms == 0) return kZero;
  if (n_terms == 1) return terms[0];
  Word* words = append();
  if (sum(words, terms, n_terms)) return static_cast<Row>(first_ + n_rows_ - 1);
  --n_rows_;
  return kZero;
}

Rank Annotations::relate(std::initializer_list<Row> rows) {
  Row terms[kMostTerms];
  const std::size_t n_terms = gather(rows, terms);
  if (n_terms == 0) return kNoRank;
  sum_.resize(stride_);
  bool any = sum(sum_.data(), terms, n_terms);
  if (any) count(stride_ * reduce(sum_.data(), any));
  if (!any) return kNoRank;
  const std::size_t slot = youngest(sum_.data());
  const Rank birth = slots_[slot];
  await(slot, sum_.data());
  if (n_alive() == 0)
    forget();
  else if (waiting_.size() == kMostWaiting)
    settle();
  return birth;
}

std::size_t Annotations::gather(std::initializer_list<Row> rows, Row* terms) const {
  std::size_t n_terms = 0;
  for (const Row row : rows) {
    if (row < first_) continue;
    Row* const twin = std::find(terms, terms + n_terms, row);
    if (twin == terms + n_terms)
      terms[n_terms++] = row;
    else
      *twin = terms[--n_terms];
  }
  return n_terms;
}

bool Annotations::sum(Word* words, const Row* terms, std::size_t n_terms) {
  const Word* words_of_terms[kMostTerms];
  for (std::size_t k = 0; k < n_terms; ++k) words_of_terms[k] = words_of(terms[k] - first_);
  count(stride_);
  return kernels().sum(words, words_of_terms, n_terms, stride_);
}

Annotations::Word* Annotations::append() {
  if (first_ + n_rows_ >= kMostRows) throw Stopped{Reason::memory};
  if (n_rows_ == blocks_.size() * kRowsPerBlock) {
    watch_.need(kRowsPerBlock * stride_ * sizeof(Word));
    blocks_.emplace_back(kRowsPerBlock * stride_, watch_.account);
  }
  return words_of(n_rows_++);
}

// Lets go of all rows, when no class is alive.
void Annotations::forget() {
  first_ += n_rows_;
  n_rows_ = 0;
  blocks_.clear();
  slots_.clear();
  free_.clear();
  waiting_.clear();
  ended_.assign(ended_.size(), 0);
}

std::vector<Rank> Annotations::alive() const {
  std::vector<Rank> births;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot] != kNoRank) births.push_back(slots_[slot]);
  return births;
}

std::size_t Annotations::take_slot(Rank birth) {
  // Wider rows would be read for good.
  if (free_.empty() && slots_.size() == stride_ * 64 && waiting_.size() > slots_.size() / 4) settle();
  std::size_t slot = slots_.size();
  if (free_.empty()) {
    slots_.push_back(birth);
    if (slots_.size() > stride_ * 64) widen();
  } else {
    slot = free_.back();
    free_.pop_back();
    slots_[slot] = birth;
  }
  return slot;
}

// Makes all rows half as long again.
void Annotations::widen() {
  settle();
  const std::size_t old = stride_;
  const std::size_t wide = old + std::max(kWordsPerLine, old / 2 / kWordsPerLine * kWordsPerLine);
  watch_.need(blocks_.size() * kRowsPerBlock * (wide - old) * sizeof(Word));
  for (Array<Word>& block : blocks_) {
    Array<Word> wider(kRowsPerBlock * wide, watch_.account);
    for (std::size_t r = 0; r < kRowsPerBlock; ++r) {
      std::memcpy(wider.data() + r * wide, block.data() + r * old, old * sizeof(Word));
      std::memset(wider.data() + r * wide + old, 0, (wide - old) * sizeof(Word));
    }
    block = std::move(wider);
  }
  stride_ = wide;
  waiting_words_ = Array<Word>();
}

// Puts the relations that wait into a row which is not zero; sets whether it still is not. Returns how
// many rows were read.
std::size_t Annotations::reduce(Word* words, bool& any) const {
  const Word* terms[kMostWaiting + 1] = {words};
  std::size_t n_terms = 1;
  for (std::size_t w = 0; w < ended_.size(); ++w)
    for (Word bits = words[w] & ended_[w]; bits != 0; bits &= bits - 1)
      terms[n_terms++] = relation_of_[w * 64 + static_cast<unsigned>(__builtin_ctzll(bits))];
  any = n_terms == 1 || kernels().sum(words, terms, n_terms, stride_);
  return n_terms;
}

std::size_t Annotations::youngest(const Word* sum) const {
  std::size_t found = slots_.size();
  for (std::size_t w = 0; w < stride_; ++w)
    for (Word bits = sum[w]; bits != 0; bits &= bits - 1) {
      const std::size_t slot = w * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
      if (found == slots_.size() || slots_[slot] > slots_[found]) found = slot;
    }
  return found;
}

void Annotations::await(std::size_t slot, const Word* sum) {
  if (waiting_words_.size() == 0) {
    watch_.need(kMostWaiting * stride_ * sizeof(Word));
    waiting_words_ = Array<Word>(kMostWaiting * stride_, watch_.account);
    ended_.assign(stride_, 0);
    relation_of_.assign(stride_ * 64, nullptr);
  }
  for (const Relation& relation : waiting_) {
    const Word* const terms[] = {relation.words, sum};
    if (has(relation.words, slot)) kernels().sum(relation.words, terms, 2, stride_);
  }
  Word* words = waiting_words_.data() + waiting_.size() * stride_;
  std::memcpy(words, sum, stride_ * sizeof(Word));
  waiting_.push_back({slot, words});
  ended_[slot / 64] |= Word{1} << slot % 64;
  relation_of_[slot] = words;
  slots_[slot] = kNoRank;
}

// Puts the relations that wait into every row, and gives their bits back.
void Annotations::settle() {
  if (waiting_.empty()) return;
  std::atomic<std::size_t> n_read{0};
  watch_.parallel(n_rows_, 256, [&](std::size_t begin, std::size_t end) {
    std::size_t n = 0;
    for (bool any; begin < end; ++begin) n += reduce(words_of(begin), any);
    n_read += n;
  });
  count(n_read * stride_);
  for (const Relation& relation : waiting_) {
    free_.push_back(relation.slot);
    relation_of_[relation.slot] = nullptr;
  }
  waiting_.clear();
  ended_.assign(stride_, 0);
}

void Annotations::count(std::size_t words) {
  uncounted_ += words;
  if (uncounted_ < unit_) return;
  watch_.count(uncounted_ / unit_);
  uncounted_ %= unit_;
}

}  // namespace lazy
