// Sorting n^2 / 2 edges by a radix sort: one scatter into buckets by the upper bits of the length, then
// each bucket, small enough for the cache, by the lower bits. Both steps are stable and the edges
// are visited in the order of the matrix, so equal lengths keep that order.
#include "edges/filtration.hpp"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/kernels.hpp"

namespace lazy {
namespace {

// Matrix rows are taken in strips, each with a histogram of its own, so that threads can count and
// scatter side by side; the outcome does not depend on the number of strips.
struct Layout {
  std::size_t n_strips;
  unsigned bucket_bits;
};

Layout choose_layout(std::size_t n, int threads) {
  unsigned bits = 0;  // buckets of about 256 edges if these were evenly spread, at most 4096 of them
  while (bits < 12 && n * n >> (bits + 9)) ++bits;
  return {threads == 1 ? 1 : std::clamp<std::size_t>(n / 64, 1, 64), bits};
}

std::uint32_t bits_of(float length) {
  std::uint32_t bits;
  std::memcpy(&bits, &length, sizeof bits);
  return bits;  // of numbers that are not negative: ordered as the numbers are
}

// Added to each share of the longest distance, so that a few near-duplicates make no vertex central.
constexpr float kSoftening = 0.125f;

// New number of each vertex: by the sum of the bit patterns of its distances, which grow like their
// logarithms. As a sum of integers it is the same in any order; ties go by the order of the matrix.
std::vector<Vertex> central_first(const float* matrix, std::size_t n, float longest) {
  const float scale = longest > 0 ? longest : 1;
  std::vector<std::uint64_t> remoteness(n);
  for (std::size_t i = 0; i < n; ++i) remoteness[i] = kernels().remoteness(matrix + i * n, scale, kSoftening, n);
  std::vector<Vertex> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](Vertex a, Vertex b) { return remoteness[a] < remoteness[b]; });
  std::vector<Vertex> number(n);
  for (std::size_t k = 0; k < n; ++k) number[order[k]] = static_cast<Vertex>(k);
  return number;
}

// Calls visit(bits, i, j) for the edges of the rows [begin, end), in the order of the matrix. Which
// lengths are within the limit is random to the processor, so it is asked of 64 at once.
template <class Visit>
void for_edges(const float* matrix, std::size_t n, std::size_t begin, std::size_t end, float limit,
               const Visit& visit) {
  std::vector<std::uint64_t> within((n + 63) / 64);
  for (std::size_t i = begin; i < end; ++i) {
    const float* row = matrix + i * n;
    kernels().within(row, i, limit, within.data());
    for (std::size_t w = 0; w * 64 < i; ++w)
      for (std::uint64_t bits = within[w]; bits != 0; bits &= bits - 1) {
        const std::size_t j = w * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
        visit(bits_of(row[j]), i, j);
      }
  }
}

struct Buckets {
  std::uint32_t first;  // smallest bit pattern
  unsigned shift;
  std::size_t operator()(std::uint32_t bits) const { return (bits - first) >> shift; }
};

Buckets choose_buckets(float shortest, float longest, unsigned bucket_bits) {
  const std::uint32_t first = bits_of(shortest), last = std::max(first, bits_of(longest));
  Buckets buckets{first, 0};
  while (((last - first) >> buckets.shift) >> bucket_bits) ++buckets.shift;
  return buckets;
}

std::uint32_t length_bits(std::uint64_t edge) { return static_cast<std::uint32_t>(edge >> 32); }

void insertion_sort(std::uint64_t* begin, std::uint64_t* end) {
  for (std::uint64_t* next = begin + 1; next < end; ++next) {
    const std::uint64_t edge = *next;
    std::uint64_t* place = next;
    for (; place != begin && length_bits(place[-1]) > length_bits(edge); --place) *place = place[-1];
    *place = edge;
  }
}

// Stable sort of one bucket by the bits of the length that its bucket does not fix.
void sort_bucket(std::uint64_t* begin, std::uint64_t* end, std::uint32_t first, unsigned n_bits,
                 std::vector<std::uint64_t>& scratch) {
  const std::size_t size = static_cast<std::size_t>(end - begin);
  if (size < 2 || n_bits == 0) return;
  if (size < 32) return insertion_sort(begin, end);
  constexpr unsigned kMostBits = 10;  // of a digit
  const unsigned n_digits = (n_bits + kMostBits - 1) / kMostBits, width = (n_bits + n_digits - 1) / n_digits;
  const std::uint32_t mask = (std::uint32_t{1} << width) - 1;
  scratch.resize(std::max(scratch.size(), size));
  std::uint64_t *from = begin, *to = scratch.data();
  for (unsigned shift = 0; shift < n_digits * width; shift += width) {
    const auto digit = [&](std::uint64_t edge) { return (length_bits(edge) - first) >> shift & mask; };
    std::uint32_t place[(1 << kMostBits) + 1] = {};
    for (std::size_t k = 0; k < size; ++k) ++place[digit(from[k]) + 1];
    for (std::size_t v = 0; v < mask; ++v) place[v + 1] += place[v];
    for (std::size_t k = 0; k < size; ++k) to[place[digit(from[k])]++] = from[k];
    std::swap(from, to);
  }
  if (from != begin) std::copy(from, from + size, begin);
}

}  // namespace

Filtration::Filtration(const float* matrix, std::size_t n, float shortest, float longest, float limit,
                       Watch& watch)
    : n_(n), stride_((n + kCodesPerLine - 1) / kCodesPerLine * kCodesPerLine) {
  const Layout layout = choose_layout(n, watch.threads());
  const std::vector<Vertex> number = central_first(matrix, n, longest);
  const Buckets bucket = choose_buckets(shortest, std::min(limit, longest), layout.bucket_bits);
  const std::size_t n_buckets = std::size_t{1} << layout.bucket_bits;
  const auto for_strips = [&](const auto& visit) {
    watch.parallel(layout.n_strips, 1, [&](std::size_t strip, std::size_t) {
      for_edges(matrix, n, strip * n / layout.n_strips, (strip + 1) * n / layout.n_strips, limit,
                [&](std::uint32_t bits, std::size_t i, std::size_t j) {
                  visit(strip * n_buckets + bucket(bits), bits, i, j);
                });
    });
  };

  // 1) How many edges each strip has for each bucket, and from that the place of each.
  std::vector<std::size_t> place(n_buckets * layout.n_strips, 0);
  for_strips([&](std::size_t cell, std::uint32_t, std::size_t, std::size_t) { ++place[cell]; });
  for (std::size_t b = 0; b < n_buckets; ++b)
    for (std::size_t strip = 0; strip < layout.n_strips; ++strip)
      n_edges_ += std::exchange(place[strip * n_buckets + b], n_edges_);

  // 2) Scatter. Afterwards the place of a bucket in the last strip is the end of the bucket.
  edges_ = Array<std::uint64_t>(n_edges_, watch.account);
  for_strips([&](std::size_t cell, std::uint32_t bits, std::size_t i, std::size_t j) {
    const std::uint32_t a = number[i], b = number[j];
    const std::uint32_t ends = a > b ? a << 16 | b : b << 16 | a;
    edges_[place[cell]++] = static_cast<std::uint64_t>(bits) << 32 | ends;
  });

  bucket_ends_.assign(place.end() - static_cast<std::ptrdiff_t>(n_buckets), place.end());
  first_length_ = bucket.first;
  bucket_shift_ = bucket.shift;
}

// 3) Sort within buckets.
void Filtration::sort_buckets(std::size_t begin, std::size_t end) {
  std::vector<std::uint64_t> scratch;
  for (std::size_t b = begin; b < end; ++b) {
    const std::uint32_t first = first_length_ + static_cast<std::uint32_t>(b << bucket_shift_);
    sort_bucket(edges_.data() + (b == 0 ? 0 : bucket_ends_[b - 1]), edges_.data() + bucket_ends_[b], first,
                bucket_shift_, scratch);
  }
}

void Filtration::sort_more() {
  constexpr std::size_t kSome = 1024;  // edges
  const std::size_t begin = n_sorted_buckets_, before = n_sorted();
  while (n_sorted_buckets_ < bucket_ends_.size() && n_sorted() < before + kSome) ++n_sorted_buckets_;
  sort_buckets(begin, n_sorted_buckets_);
}

void Filtration::rank_edges(Watch& watch) {
  const std::size_t sorted = n_sorted_buckets_;
  watch.parallel(bucket_ends_.size() - sorted, 64,
                 [&](std::size_t begin, std::size_t end) { sort_buckets(sorted + begin, sorted + end); });
  n_sorted_buckets_ = bucket_ends_.size();
  ranks_ = Array<Rank>(n_ * n_, watch.account);
  codes_ = Array<Code>(n_ * stride_, watch.account);
  while (n_edges_ >> shift_ >= 0xFFFF) ++shift_;
  std::memset(ranks_.data(), 0xFF, ranks_.bytes());
  watch.parallel(n_edges_, std::size_t{1} << 20, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const Rank edge = static_cast<Rank>(r);
      const std::size_t a = high(edge), b = low(edge);
      ranks_[a * n_ + b] = edge;
      ranks_[b * n_ + a] = edge;
    }
  });
  watch.parallel(n_, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      Code* codes = codes_.data() + i * stride_;
      kernels().encode(ranks_of(static_cast<Vertex>(i)), n_, shift_, codes);
      std::fill(codes + n_, codes + stride_, Code{0xFFFF});
    }
  });
}

}  // namespace lazy
