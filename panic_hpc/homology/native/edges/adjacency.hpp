// A graph as rows of bits.
#pragma once

#include <cstring>

#include "edges/filtration.hpp"
#include "kernels/kernels.hpp"

namespace lazy {

inline Vertex vertex_of(std::size_t word, std::uint64_t bits) {
  return static_cast<Vertex>(word * 64 + static_cast<unsigned>(__builtin_ctzll(bits)));
}

class Adjacency {
 public:
  Adjacency(std::size_t n, Account& account) : n_(n), words_(words_of(n)), bits_(n * words_, account) {
    std::memset(bits_.data(), 0, bits_.bytes());
  }
  const std::uint64_t* row(Vertex v) const { return bits_.data() + v * words_; }
  void join(Vertex a, Vertex b) {
    bits_[a * words_ + b / 64] |= std::uint64_t{1} << b % 64;
    bits_[b * words_ + a / 64] |= std::uint64_t{1} << a % 64;
  }
  // Joins a vertex, one way, to all that are at most `length` from it, itself included.
  void set_row(Vertex v, const float* distances, std::size_t n, float length) {
    kernels().within(distances, n, length, bits_.data() + v * words_);
  }
  void prefetch(Vertex v) const {
    for (std::size_t w = 0; w < words_; w += kWordsPerLine) __builtin_prefetch(row(v) + w);
  }
  std::size_t size() const { return n_; }
  std::size_t words() const { return words_; }

  static std::size_t bytes(std::size_t n) { return n * words_of(n) * sizeof(std::uint64_t); }

 private:
  static std::size_t words_of(std::size_t n) { return (n + 511) / 512 * kWordsPerLine; }

  std::size_t n_, words_;
  Array<std::uint64_t> bits_;
};

}  // namespace lazy
