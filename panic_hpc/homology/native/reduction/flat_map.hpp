// A hash table from simplices to 32-bit numbers: open addressing, no removal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "edges/filtration.hpp"

namespace lazy {

class FlatMap {
 public:
  explicit FlatMap(std::size_t expected = 0) { rebuild(expected); }

  // The value of a key, or null.
  const std::uint32_t* find(Simplex key) const {
    const Slot& slot = slots_[place(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  void put(Simplex key, std::uint32_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[place(key)];
    if (slot.key != key) ++size_;
    slot = {key, value};
  }

  void clear() {
    if (size_ != 0) rebuild(0);
  }

 private:
  static constexpr Simplex kEmpty = ~Simplex{0};  // rank kNoRank: not a simplex
  struct Slot {
    Simplex key = kEmpty;
    std::uint32_t value = 0;
  };

  std::size_t place(Simplex key) const {
    std::uint64_t x = key * 0x9E3779B97F4A7C15u;  // Fibonacci hashing (Knuth 6.4)
    std::size_t k = static_cast<std::size_t>(x >> shift_);
    while (slots_[k].key != key && slots_[k].key != kEmpty) k = (k + 1) & (slots_.size() - 1);
    return k;
  }

  void rebuild(std::size_t expected) {
    std::size_t capacity = 64;
    shift_ = 58;
    while (capacity < 2 * expected) {
      capacity *= 2;
      --shift_;
    }
    slots_.assign(capacity, Slot{});
    size_ = 0;
  }

  void grow() {
    std::vector<Slot> old;
    old.swap(slots_);
    rebuild(old.size());
    for (const Slot& slot : old)
      if (slot.key != kEmpty) {
        slots_[place(slot.key)] = slot;
        ++size_;
      }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  unsigned shift_ = 58;
};

}  // namespace lazy
