// Large arrays, and the account of what they take.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

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

// Uninitialised memory on huge pages where the kernel has them: matrices are read row after row in
// random order, and the misses of the address translation would cost as much as those of the cache.
template <class T>
class Array {
 public:
  Array() = default;
  Array(std::size_t size, Account& account) : size_(size), account_(&account) {
    const std::size_t page = bytes() < kHugePage ? 64 : kHugePage;
    reserved_ = (bytes() + page - 1) / page * page;
    data_ = static_cast<T*>(std::aligned_alloc(page, reserved_ == 0 ? page : reserved_));
    if (data_ == nullptr) throw std::bad_alloc();
    if (page == kHugePage) madvise(data_, reserved_, MADV_HUGEPAGE);
    account_->add(reserved_);
  }
  Array(Array&& other) noexcept { swap(other); }
  Array& operator=(Array&& other) noexcept {
    swap(other);
    return *this;
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() {
    if (data_ == nullptr) return;
    std::free(data_);
    account_->subtract(reserved_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21;

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
