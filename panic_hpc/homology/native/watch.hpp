// When to stop: budget, deadline, memory, Ctrl-C; and the threads that must notice.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "memory.hpp"

namespace lazy {

enum class Reason { none, budget, deadline, memory, interrupt };

// Thrown by the calling thread only; the pipeline catches it and keeps the finished dimensions.
struct Stopped {
  Reason reason;
};

struct Limits {
  double seconds = 0;              // 0: none
  std::size_t bytes = 0;           // 0: none
  std::uint64_t operations = 0;    // 0: none
  int threads = 1;
  std::function<bool()> interrupted;  // asked about ten times a second, from the calling thread
};

class Watch {
 public:
  explicit Watch(const Limits& limits) : limits_(limits), start_(Clock::now()), asked_(start_) {}

  Account account;

  // One step of counted work: a coface visited or a column opened. The count, unlike the clock, is
  // the same on every machine.
  void count(std::uint64_t operations) {
    operations_ += operations;
    if (limits_.operations != 0 && operations_ > limits_.operations) throw Stopped{Reason::budget};
    if (++since_look_ >= 256) look();
  }

  // Looks at the clock; call it at least every few milliseconds of work. A helper thread only learns
  // here that the work was abandoned.
  void look() {
    if (std::this_thread::get_id() != owner_) {
      if (abandoned_) throw Stopped{Reason::none};
      return;
    }
    since_look_ = 0;
    const Clock::time_point now = Clock::now();
    if (limits_.seconds > 0 && seconds(start_, now) > limits_.seconds)
      throw Stopped{Reason::deadline};
    if (seconds(asked_, now) < 0.1) return;
    asked_ = now;
    if (limits_.interrupted && limits_.interrupted()) throw Stopped{Reason::interrupt};
  }

  // Asks for memory before it is allocated.
  void need(std::size_t bytes) const {
    if (limits_.bytes != 0 && account.held() + bytes > limits_.bytes)
      throw Stopped{Reason::memory};
  }

  std::uint64_t operations() const { return operations_; }
  int threads() const { return limits_.threads; }

  // Calls work(begin, end) for consecutive pieces of [0, count), in any order and from any thread.
  // The result must not depend on either. Pieces of `grain` should take milliseconds.
  template <class Work>
  void parallel(std::size_t count, std::size_t grain, const Work& work);

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  const Limits limits_;
  const Clock::time_point start_;
  Clock::time_point asked_;
  std::uint64_t operations_ = 0;
  unsigned since_look_ = 0;
  const std::thread::id owner_ = std::this_thread::get_id();
  std::atomic<bool> abandoned_{false};
};

// A list that asks for memory before it grows, and is on the account.
template <class T>
class List {
 public:
  explicit List(Watch& watch) : watch_(&watch) {}
  ~List() { watch_->account.subtract(values_.capacity() * sizeof(T)); }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  void push_back(T value) {
    reserve(values_.size() + 1);
    values_.push_back(value);
  }
  void append(std::size_t count, T value) {
    reserve(values_.size() + count);
    values_.insert(values_.end(), count, value);
  }
  void append(const std::vector<T>& values) {
    reserve(values_.size() + values.size());
    values_.insert(values_.end(), values.begin(), values.end());
  }
  void clear() { values_.clear(); }

  std::size_t size() const { return values_.size(); }
  const T* data() const { return values_.data(); }
  T& operator[](std::size_t i) { return values_[i]; }
  const T& operator[](std::size_t i) const { return values_[i]; }
  T& back() { return values_.back(); }

 private:
  void reserve(std::size_t size) {
    if (size <= values_.capacity()) return;
    const std::size_t old = values_.capacity(), capacity = size < 2 * old ? 2 * old : size;
    watch_->need(capacity * sizeof(T));
    watch_->account.add((capacity - old) * sizeof(T));
    values_.reserve(capacity);
  }

  Watch* watch_;
  std::vector<T> values_;
};

template <class Work>
void Watch::parallel(std::size_t count, std::size_t grain, const Work& work) {
  std::atomic<std::size_t> next{0};
  const std::size_t pieces = (count + grain - 1) / grain;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(limits_.threads));
  std::mutex mutex;
  std::condition_variable finished;
  std::size_t n_running = 0;
  const auto take = [&] {
    for (std::size_t begin = 0; !abandoned_ && (begin = next.fetch_add(grain)) < count; look())
      work(begin, begin + grain < count ? begin + grain : count);
  };
  const auto help = [&](std::exception_ptr& failure) noexcept {
    try {
      take();
    } catch (...) {
      // Of several failures the first counts; the others may be its consequence.
      if (!abandoned_.exchange(true)) failure = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex);
    --n_running;
    finished.notify_one();
  };
  abandoned_ = false;
  std::vector<std::thread> helpers;
  helpers.reserve(failures.size());
  try {
    for (std::size_t t = 1; t < failures.size() && t < pieces; ++t) {
      const std::lock_guard<std::mutex> lock(mutex);
      helpers.emplace_back([&, t] { help(failures[t]); });
      ++n_running;
    }
  } catch (const std::system_error&) {
    // No more threads to be had: the others do the work.
  }
  try {
    take();
    std::unique_lock<std::mutex> lock(mutex);
    while (!finished.wait_for(lock, std::chrono::milliseconds(50), [&] { return n_running == 0; })) look();
  } catch (...) {
    failures[0] = std::current_exception();
    abandoned_ = true;
  }
  for (std::thread& helper : helpers) helper.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace lazy
