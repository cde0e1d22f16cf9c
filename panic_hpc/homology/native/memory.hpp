// Large arrays, and the account of what they take.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace lazy {

// Bytes held by one computation; not shared between threads.
class Account {
 public:
  void add(std::size_t bytes) {
    held_ += bytes;
    if (held_ > peak_) peak_ = held_;
  }
  void subtract(std::size_t bytes) { held_ -= bytes; }
  std::size_t held() const { return held_; }
  std::size_t peak() const { return peak_; }

 private:
  std::size_t held_ = 0;
  std::size_t peak_ = 0;
};

// Memory that arrays gave back, up to so much, for the next arrays of the same size, of this computation or
// another: the system clears what it hands out, which is a fifth of the time of a thousand points.
class Blocks {
 public:
  // Of the whole process, and never destroyed: a thread may be at work while the process ends.
  static Blocks& shared() {
    static Blocks& blocks = *new Blocks;
    return blocks;
  }

  // What an array of so many bytes takes: whole huge pages where the kernel has them, since matrices are
  // read row after row in random order, and the misses of the address translation would cost as much as
  // those of the cache.
  static std::size_t reserved(std::size_t bytes) {
    const std::size_t unit = bytes > kHugePage / 2 ? kHugePage : bytes > kLargest ? kLargest : 64;
    return bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
  }

  void* take(std::size_t size) {
    if (size > kLargest) {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (std::size_t k = kept_.size(); k-- > 0;)
        if (kept_[k].size == size) {
          void* data = kept_[k].data;
          kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(k));
          n_kept_ -= size;
          return data;
        }
    }
    const bool huge = size % kHugePage == 0;
    void* data = std::aligned_alloc(huge ? kHugePage : 64, size);
    if (data == nullptr) throw std::bad_alloc();
    if (huge) madvise(data, size, MADV_HUGEPAGE);
    return data;
  }

  void give(void* data, std::size_t size) noexcept {
    if (size <= kLargest || size > kMostKept) return std::free(data);
    const std::lock_guard<std::mutex> lock(mutex_);
    try {
      kept_.push_back({data, size});
    } catch (const std::bad_alloc&) {
      return std::free(data);
    }
    n_kept_ += size;
    while (n_kept_ > kMostKept) {
      n_kept_ -= kept_.front().size;
      std::free(kept_.front().data);
      kept_.erase(kept_.begin());
    }
  }

 private:
  struct Block {
    void* data;
    std::size_t size;
  };

  static constexpr std::size_t kHugePage = std::size_t{1} << 21;
  static constexpr std::size_t kLargest = std::size_t{1} << 16;   // that malloc is left to keep
  static constexpr std::size_t kMostKept = std::size_t{1} << 25;

  std::mutex mutex_;
  std::vector<Block> kept_;  // the oldest first
  std::size_t n_kept_ = 0;   // bytes
};

// Uninitialised memory.
template <class T>
class Array {
 public:
  Array() = default;
  Array(std::size_t size, Account& account) : size_(size), account_(&account) {
    reserved_ = Blocks::reserved(bytes());
    data_ = static_cast<T*>(Blocks::shared().take(reserved_));
    account_->add(reserved_);
  }
  Array(Array&& other) noexcept { swap(other); }
  // Takes over the memory of an array of other values of the same size, which the system need not clear again.
  template <class U>
  explicit Array(Array<U>&& other) noexcept
      : data_(reinterpret_cast<T*>(std::exchange(other.data_, nullptr))), size_(std::exchange(other.size_, 0)),
        reserved_(other.reserved_), account_(other.account_) {
    static_assert(sizeof(T) == sizeof(U) && alignof(T) == alignof(U), "the same room for each value");
  }
  Array& operator=(Array&& other) noexcept {
    swap(other);
    return *this;
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() {
    if (data_ == nullptr) return;
    Blocks::shared().give(data_, reserved_);
    account_->subtract(reserved_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  template <class U>
  friend class Array;

  void swap(Array& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(reserved_, other.reserved_);
    std::swap(account_, other.account_);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t reserved_ = 0;
  Account* account_ = nullptr;
};

}  // namespace lazy
