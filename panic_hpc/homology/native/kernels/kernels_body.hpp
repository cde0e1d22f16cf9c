// Bodies of the kernels; included by one file per instruction set, which sets VECTOR_BYTES,
// KERNEL_TABLE and KERNEL_NAME. Nothing of the standard library is used here but fixed-width
// integers: an inline function compiled for AVX-512 could otherwise be the copy that the linker keeps for everyone.
#include "kernels/kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef BYTE_TILES
#define BYTE_TILES nullptr
#endif

namespace lazy {
namespace {

constexpr std::size_t kWidth = VECTOR_BYTES / sizeof(double);
constexpr std::size_t kPieces = kLanes / kWidth;
constexpr std::size_t kFloats = VECTOR_BYTES / sizeof(float);
typedef std::uint16_t Code;
constexpr std::size_t kCodes = VECTOR_BYTES / sizeof(Code);
constexpr std::size_t kWords = VECTOR_BYTES / sizeof(std::uint64_t);

typedef double Vector __attribute__((vector_size(VECTOR_BYTES)));
typedef float Floats __attribute__((vector_size(VECTOR_BYTES)));
typedef float HalfFloats __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef std::uint64_t Words __attribute__((vector_size(VECTOR_BYTES)));
typedef Code Codes __attribute__((vector_size(VECTOR_BYTES)));

template <class V, class T>
inline V load(const T* p) {
  V value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}
template <class V, class T>
inline void store(T* p, V value) {
  __builtin_memcpy(p, &value, sizeof value);
}
template <class V>
inline V smaller(V x, V y) {
  return x < y ? x : y;
}
template <class V>
inline V larger(V x, V y) {
  return x > y ? x : y;
}
template <class T, class V>
inline T smallest_of(V values) {
  T found = values[0];
  for (std::size_t l = 1; l < VECTOR_BYTES / sizeof(T); ++l) found = values[l] < found ? values[l] : found;
  return found;
}
inline Codes all(Code value) { return Codes{} + value; }

inline bool any_bit(Words words) {
#if VECTOR_BYTES == 64
  return _mm512_test_epi64_mask((__m512i)words, (__m512i)words) != 0;
#elif VECTOR_BYTES == 32
  return _mm256_testz_si256((__m256i)words, (__m256i)words) == 0;
#else
  std::uint64_t any = 0;
  for (std::size_t l = 0; l < kWords; ++l) any |= words[l];
  return any != 0;
#endif
}

// Bit l of the result says whether the l-th of 64 codes is at most the l-th of others.
#if VECTOR_BYTES == 64
inline std::uint64_t at_most(const Codes* x, const Codes* high) {
  const std::uint64_t low_half = _mm512_cmple_epu16_mask((__m512i)x[0], (__m512i)high[0]);
  return low_half | static_cast<std::uint64_t>(_mm512_cmple_epu16_mask((__m512i)x[1], (__m512i)high[1])) << 32;
}
#elif VECTOR_BYTES == 32
inline std::uint64_t at_most(const Codes* x, const Codes* high) {
  std::uint64_t bits = 0;
  for (int k = 0; k < 2; ++k) {
    const __m256i low = (__m256i)(x[2 * k] <= high[2 * k]), up = (__m256i)(x[2 * k + 1] <= high[2 * k + 1]);
    const __m256i packed = _mm256_packs_epi16(low, up);
    const int mask = _mm256_movemask_epi8(_mm256_permute4x64_epi64(packed, 0xD8));
    bits |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(mask)) << 32 * k;
  }
  return bits;
}
#elif defined(__SSE2__)
inline std::uint64_t at_most(const Codes* x, const Codes* high) {
  std::uint64_t bits = 0;
  for (int k = 0; k < 4; ++k) {
    const int mask = _mm_movemask_epi8(
        _mm_packs_epi16((__m128i)(x[2 * k] <= high[2 * k]), (__m128i)(x[2 * k + 1] <= high[2 * k + 1])));
    bits |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(mask)) << 16 * k;
  }
  return bits;
}
#else
inline std::uint64_t at_most(const Codes* x, const Codes* high) {
  std::uint64_t bits = 0;
  for (std::size_t l = 0; l < kCodesPerLine; ++l)
    bits |= static_cast<std::uint64_t>(x[l / kCodes][l % kCodes] <= high[l / kCodes][l % kCodes]) << l;
  return bits;
}
#endif

inline std::uint64_t at_most(const Codes* x, Codes high) {
  Codes highs[kCodesPerLine / kCodes];
  for (Codes& each : highs) each = high;
  return at_most(x, highs);
}

inline double total_of_eight(const double* s) {
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

// Eight running sums, in as many registers as the instruction set needs.
struct Lanes {
  Vector piece[kPieces];
};

inline double total(const Lanes& lanes) {
  double s[kLanes];
  for (std::size_t p = 0; p < kPieces; ++p)
    for (std::size_t l = 0; l < kWidth; ++l) s[p * kWidth + l] = lanes.piece[p][l];
  return total_of_eight(s);
}

// Points whose numbers lie side by side, as many as three (with few registers four) vectors hold; a tile
// has so many rows of them that the sums and what they are made of fill the registers.
constexpr std::size_t kColumns = VECTOR_BYTES == 16 ? 4 : 3;
constexpr std::size_t kPanel = kColumns * kWidth;
constexpr std::size_t kTileHeight = VECTOR_BYTES / 8;
static_assert(kPanel % kTileHeight == 0, "a panel is whole tiles");

template <bool kAdds>
inline void products_tile(const double* a, const double* b, std::size_t n, double* out) {
  Vector sum[kTileHeight][kColumns] = {};
  for (std::size_t k = 0; k < n; ++k) {
    Vector right[kColumns];
    for (std::size_t c = 0; c < kColumns; ++c) right[c] = load<Vector>(b + k * kPanel + c * kWidth);
    for (std::size_t r = 0; r < kTileHeight; ++r) {
      const Vector left = a[k * kPanel + r] - Vector{};  // the same in each lane
      for (std::size_t c = 0; c < kColumns; ++c) sum[r][c] += left * right[c];
    }
  }
  // Else GCC takes the sums through memory.
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kTileHeight; ++r)
#pragma GCC unroll 4
    for (std::size_t c = 0; c < kColumns; ++c) {
      double* const to = out + r * kPanel + c * kWidth;
      store(to, kAdds ? load<Vector>(to) + sum[r][c] : sum[r][c]);
    }
}

void products(const double* a, const double* b, std::size_t n, bool adds, double* out) {
  for (std::size_t r = 0; r < kPanel; r += kTileHeight)
    (adds ? products_tile<true> : products_tile<false>)(a + r, b, n, out + r * kPanel);
}

bool lengths(const double* products, double a, const double* b, double close, float* out) {
  double squared[kPanel];
  Words close_ones = {};
  for (std::size_t c = 0; c < kPanel; c += kWidth) {
    const Vector scale = a + load<Vector>(b + c), square = scale - 2 * load<Vector>(products + c);
    store(squared + c, square);
    close_ones |= (Words)(square < close * scale);
  }
  for (std::size_t c = 0; c < kPanel; ++c) out[c] = static_cast<float>(__builtin_sqrt(squared[c]));
  return !any_bit(close_ones);
}

inline Vector widened(const float* p) { return __builtin_convertvector(load<HalfFloats>(p), Vector); }

double product(const float* a, const float* b, std::size_t d) {
  Lanes sum = {};
  std::size_t k = 0;
  for (; k + kLanes <= d; k += kLanes)
    for (std::size_t p = 0; p < kPieces; ++p)
      sum.piece[p] += widened(a + k + p * kWidth) * widened(b + k + p * kWidth);
  float left[kLanes] = {}, right[kLanes] = {};
  for (std::size_t l = 0; k + l < d; ++l) left[l] = a[k + l], right[l] = b[k + l];
  for (std::size_t p = 0; p < kPieces; ++p)
    sum.piece[p] += widened(left + p * kWidth) * widened(right + p * kWidth);
  return total(sum);
}

double squared_difference(const float* a, const float* b, std::size_t d) {
  const auto difference = [a, b](std::size_t k) {
    return static_cast<double>(static_cast<float>(static_cast<double>(a[k]) - static_cast<double>(b[k])));
  };
  double sum[kLanes] = {};
  std::size_t k = 0;
  for (; k + kLanes <= d; k += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) sum[l] += difference(k + l) * difference(k + l);
  for (std::size_t l = 0; k + l < d; ++l) sum[l] += difference(k + l) * difference(k + l);
  return total_of_eight(sum);
}

float relax(float* best, const float* row, const float* closed, std::size_t n) {
  Floats least = Floats{} + __builtin_inff();
  std::size_t k = 0;
  for (; k + kFloats <= n; k += kFloats) {
    const Floats x = larger(smaller(load<Floats>(best + k), load<Floats>(row + k)), load<Floats>(closed + k));
    store(best + k, x);
    least = smaller(least, x);
  }
  float found = smallest_of<float>(least);
  for (; k < n; ++k) {
    best[k] = larger(smaller(best[k], row[k]), closed[k]);
    found = smaller(found, best[k]);
  }
  return found;
}

std::uint64_t remoteness(const float* row, float scale, float softening, std::size_t n) {
  std::uint64_t sum = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const float share = row[k] / scale + softening;
    std::uint32_t bits;
    __builtin_memcpy(&bits, &share, sizeof bits);
    sum += bits;
  }
  return sum;
}

float largest(const float* row, std::size_t n) {
  Floats most = {};
  std::size_t k = 0;
  for (; k + kFloats <= n; k += kFloats) most = larger(most, load<Floats>(row + k));
  float found = -smallest_of<float>(-most);
  for (; k < n; ++k) found = larger(found, row[k]);
  return found;
}

std::size_t find(const float* row, std::size_t n, float value) {
  std::size_t k = 0;
#if VECTOR_BYTES == 64
  const __m512 values = _mm512_set1_ps(value);
  for (; k + kFloats <= n; k += kFloats)
    if (const unsigned bits = _mm512_cmp_ps_mask(_mm512_loadu_ps(row + k), values, _CMP_EQ_OQ))
      return k + static_cast<unsigned>(__builtin_ctz(bits));
#elif VECTOR_BYTES == 32
  const __m256 values = _mm256_set1_ps(value);
  for (; k + kFloats <= n; k += kFloats)
    if (const int bits = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(row + k), values, _CMP_EQ_OQ)))
      return k + static_cast<unsigned>(__builtin_ctz(static_cast<unsigned>(bits)));
#endif
  while (k < n && row[k] != value) ++k;
  return k;
}

void within(const float* row, std::size_t n, float limit, std::uint64_t* out) {
  for (std::size_t k = 0; k < n; k += 64) {
    std::uint64_t bits = 0;
    const std::size_t end = n - k < 64 ? n - k : 64;
#if VECTOR_BYTES == 64
    if (end == 64) {
      const __m512 most = _mm512_set1_ps(limit);
      for (std::size_t p = 0; p < 4; ++p)
        bits |= static_cast<std::uint64_t>(
                    _mm512_cmp_ps_mask(_mm512_loadu_ps(row + k + 16 * p), most, _CMP_LE_OQ))
                << 16 * p;
      out[k / 64] = bits;
      continue;
    }
#endif
    for (std::size_t l = 0; l < end; ++l) bits |= static_cast<std::uint64_t>(row[k + l] <= limit) << l;
    out[k / 64] = bits;
  }
}

void encode(const std::uint32_t* ranks, std::size_t n, unsigned shift, Code* codes) {
  for (std::size_t k = 0; k < n; ++k) {
    const std::uint32_t code = ranks[k] == 0xFFFFFFFF ? std::uint32_t{kNoCode} : ranks[k] >> shift;
    codes[k] = static_cast<Code>(code);
  }
}

inline Codes join_at(const Code* a, const Code* b, const Code* c, std::size_t q) {
  return larger(larger(load<Codes>(a + q), load<Codes>(b + q)), load<Codes>(c + q));
}

Code join(const Code* a, const Code* b, const Code* c, Code* out, std::size_t n, Code floor) {
  const Codes none = all(kNoCode), bottom = all(floor);
  Codes least = none;
  for (std::size_t q = 0; q < n; q += kCodes) {
    const Codes x = join_at(a, b, c, q);
    store(out + q, x);
    least = smaller(least, x > bottom ? x : none);
  }
  return smallest_of<Code>(least);
}

std::size_t collect(const Code* values, std::size_t n, Code low, Code high, Code* positions) {
  const Codes base = all(low), span = all(static_cast<Code>(high - low));
  std::size_t found = 0;
  for (std::size_t q = 0; q < n; q += kCodesPerLine) {
    Codes x[kCodesPerLine / kCodes];
    for (std::size_t p = 0; p < kCodesPerLine / kCodes; ++p)
      x[p] = load<Codes>(values + q + p * kCodes) - base;  // what is below wraps around to the top
    for (std::uint64_t bits = at_most(x, span); bits != 0; bits &= bits - 1)
      positions[found++] = static_cast<Code>(q + static_cast<unsigned>(__builtin_ctzll(bits)));
  }
  return found;
}

std::size_t first_within(const Code* a, const Code* b, const Code* c, std::size_t begin,
                         std::size_t end, Code high) {
  const Codes top = all(high);
  std::uint64_t wanted = ~std::uint64_t{0} << begin % kCodesPerLine;
  for (std::size_t q = begin & ~(kCodesPerLine - 1); q < end; q += kCodesPerLine) {
    Codes x[kCodesPerLine / kCodes];
    for (std::size_t p = 0; p < kCodesPerLine / kCodes; ++p) x[p] = join_at(a, b, c, q + p * kCodes);
    if (const std::uint64_t bits = at_most(x, top) & wanted) {
      const std::size_t first = q + static_cast<unsigned>(__builtin_ctzll(bits));
      return first < end ? first : end;
    }
    wanted = ~std::uint64_t{0};
  }
  return end;
}

void witness(Code* best, const Code* row, Code via, std::size_t n) {
  const Codes bottom = all(via);
  for (std::size_t q = 0; q < n; q += kCodes)
    store(best + q, smaller(load<Codes>(best + q), larger(load<Codes>(row + q), bottom)));
}

std::size_t unwitnessed(const Code* best, const Code* row, std::size_t n, Code* positions) {
  const Codes last = all(kNoCode - 1);
  std::size_t found = 0;
  for (std::size_t q = 0; q < n; q += kCodesPerLine) {
    Codes x[kCodesPerLine / kCodes], most[kCodesPerLine / kCodes];
    for (std::size_t p = 0; p < kCodesPerLine / kCodes; ++p) {
      x[p] = load<Codes>(row + q + p * kCodes);
      most[p] = smaller(load<Codes>(best + q + p * kCodes), last);
    }
    for (std::uint64_t bits = at_most(x, most); bits != 0; bits &= bits - 1)
      positions[found++] = static_cast<Code>(q + static_cast<unsigned>(__builtin_ctzll(bits)));
  }
  return found;
}

void fold_minima(const Code* row, std::size_t n, Code* out) {
  for (std::size_t q = 0; q < kFold; q += kCodes) store(out + q, all(kNoCode));
  for (std::size_t q = 0; q < n; q += kCodes) {
    Code* to = out + q % kFold;
    store(to, smaller(load<Codes>(to), load<Codes>(row + q)));
  }
}

bool intersect(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out, std::size_t words) {
  Words any = {};
  for (std::size_t w = 0; w < words; w += kWords) {
    const Words both = load<Words>(a + w) & load<Words>(b + w);
    store(out + w, both);
    any |= both;
  }
  return any_bit(any);
}

std::size_t meet(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out, std::size_t words) {
  std::size_t word = words;
  for (std::size_t w = words; w != 0;) {
    w -= kWords;
    const Words both = load<Words>(a + w) & load<Words>(b + w);
    store(out + w, both);
    if (any_bit(both)) word = w;
  }
  if (word == words) return words * 64;
  while (out[word] == 0) ++word;
  return word * 64 + static_cast<unsigned>(__builtin_ctzll(out[word]));
}

// A set of vertices of which a part is known to be connected, with as many vectors a row as kVectors says
// (0: as `words` do).
template <std::size_t kVectors>
class Connected {
 public:
  Connected(const std::uint64_t* graph, const std::uint64_t* set, std::uint64_t* rest, std::size_t words)
      : graph_(graph), set_(set), rest_(rest), words_(kVectors > 0 ? kVectors * kWords : words) {}

  // Returns whether anything is not connected with the first vertex.
  bool leaves_others(std::size_t first) {
    const std::uint64_t* from[1] = {row(first)};
    return take(set_, from) && take_from_neighbours(first / 64) && take_into_the_rest();
  }

 private:
  const std::uint64_t* row(std::size_t v) const { return graph_ + v * words_; }

  // rest = `of` without some rows; returns whether anything is left.
  template <std::size_t kRows>
  bool take(const std::uint64_t* of, const std::uint64_t* const (&rows)[kRows]) {
    Words any = {};
    for (std::size_t w = 0; w < words_; w += kWords) {
      Words taken = load<Words>(rows[0] + w);
      for (std::size_t k = 1; k < kRows; ++k) taken |= load<Words>(rows[k] + w);
      const Words left = load<Words>(of + w) & ~taken;
      store(rest_ + w, left);
      any |= left;
    }
    return any_bit(any);
  }

  // What the next vertices of the connected part are joined with: of few, nearly all that is left.
  bool take_from_neighbours(std::size_t word) {
    const std::uint64_t* rows[4];
    std::size_t n = 0;
    std::uint64_t bits = set_[word] & ~rest_[word];
    bits &= bits - 1;  // the first is done
    for (int round = 0; round < kRounds; n = 0, ++round) {
      while (n < 4) {
        while (bits == 0) {
          if (++word == words_) {
            if (n == 0) return true;
            while (n < 4) rows[n] = rows[0], ++n;
            return take(rest_, rows);
          }
          bits = set_[word] & ~rest_[word];
        }
        rows[n++] = row(word * 64 + static_cast<unsigned>(__builtin_ctzll(bits)));
        bits &= bits - 1;
      }
      if (!take(rest_, rows)) return false;
    }
    return true;
  }

  // What of the rest is joined with the connected part, one by one.
  bool take_into_the_rest() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t w = 0; w < words_; ++w)
        for (std::uint64_t bits = rest_[w]; bits != 0; bits &= bits - 1) {
          const std::uint64_t* rows[1] = {row(w * 64 + static_cast<unsigned>(__builtin_ctzll(bits)))};
          if (!meets_the_connected(rows[0])) continue;
          if (!take(rest_, rows)) return false;
          changed = true;
          bits = (bits & -bits) | (bits & rest_[w]);
        }
    }
    return true;
  }

  bool meets_the_connected(const std::uint64_t* row) const {
    Words any = {};
    for (std::size_t w = 0; w < words_; w += kWords)
      any |= load<Words>(row + w) & load<Words>(set_ + w) & ~load<Words>(rest_ + w);
    return any_bit(any);
  }

  static constexpr int kRounds = 2;

  const std::uint64_t* const graph_;
  const std::uint64_t* const set_;
  std::uint64_t* const rest_;
  const std::size_t words_;
};

bool others(const std::uint64_t* graph, const std::uint64_t* set, std::size_t first, std::uint64_t* rest,
            std::size_t words) {
  // Unrolled for up to 1024 points.
  if (words == 1 * kWordsPerLine) return Connected<kWordsPerLine / kWords>(graph, set, rest, words).leaves_others(first);
  if (words == 2 * kWordsPerLine)
    return Connected<2 * kWordsPerLine / kWords>(graph, set, rest, words).leaves_others(first);
  return Connected<0>(graph, set, rest, words).leaves_others(first);
}

bool remove(const std::uint64_t* set, const std::uint64_t* const* rows, std::uint64_t* rest,
            std::size_t words) {
  const std::uint64_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  Words any = {};
  for (std::size_t w = 0; w < words; w += kWords) {
    const Words taken = (load<Words>(a + w) | load<Words>(b + w)) | (load<Words>(c + w) | load<Words>(d + w));
    const Words left = load<Words>(set + w) & ~taken;
    store(rest + w, left);
    any |= left;
  }
  return any_bit(any);
}

std::size_t cover(const std::uint64_t* const* rows, const std::uint64_t* set, std::uint64_t* ends,
                  std::uint64_t* left, std::uint64_t* taken, std::uint16_t* places, std::size_t words) {
  std::size_t n = 0;
  for (std::size_t w = 0; w < words; w += kWords) {
    Words some = load<Words>(rows[0] + w), every = some;
    for (std::size_t k = 1; k < 8; ++k) {
      const Words row = load<Words>(rows[k] + w);
      some |= row;
      every &= row;
    }
    const Words rest = load<Words>(set + w) & ~some, all_ends = load<Words>(ends + w);
    store(left + w, rest);
    store(taken + w, all_ends & every);
    store(ends + w, all_ends & ~every);
    places[n] = static_cast<std::uint16_t>(w);
    n += any_bit(rest);
  }
  return n;
}

// The words of a few vectors that are not zero, one after another.
struct SomeWords {
  static constexpr std::size_t kMost = 64;  // vectors

  void add(Words vector, std::size_t place) {
#if VECTOR_BYTES == 64
    const __mmask8 mask = _mm512_test_epi64_mask((__m512i)vector, (__m512i)vector);
    const __m512i at = _mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(place)),
                                        _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    _mm512_storeu_si512(words + n, _mm512_maskz_compress_epi64(mask, (__m512i)vector));
    _mm512_storeu_si512(places + n, _mm512_maskz_compress_epi64(mask, at));
    n += static_cast<unsigned>(__builtin_popcount(mask));
#else
    for (std::size_t l = 0; l < kWords; ++l) {
      words[n] = vector[l];
      places[n] = place + l;
      n += vector[l] != 0;
    }
#endif
  }

  template <class Visit>
  void take_bits(const Visit& visit) {
    for (std::size_t k = 0; k < n; ++k)
      for (std::uint64_t bits = words[k]; bits != 0; bits &= bits - 1)
        visit(places[k] * 64 + static_cast<unsigned>(__builtin_ctzll(bits)));
    n = 0;
  }

  std::size_t n = 0;
  std::uint64_t words[(kMost + 1) * kWords];
  std::uint64_t places[(kMost + 1) * kWords];
};

inline bool meet_masks(const std::uint64_t* x, const Words* y) {
  Words any = load<Words>(x) & y[0];
  for (std::size_t k = 1; k < kWordsPerLine / kWords; ++k) any |= load<Words>(x + k * kWords) & y[k];
  return any_bit(any);
}

std::size_t leftover(const std::uint64_t* left, const std::uint64_t* row, const std::uint16_t* places,
                     std::size_t n_places, const std::uint64_t* masks, const std::uint64_t* mask,
                     std::uint16_t* positions) {
  SomeWords some;
  Words wanted[kWordsPerLine / kWords];
  for (std::size_t k = 0; k < kWordsPerLine / kWords; ++k) wanted[k] = load<Words>(mask + k * kWords);
  std::size_t n = 0;
  const auto look = [&](std::size_t v) {
    positions[n] = static_cast<std::uint16_t>(v);
    n += !meet_masks(masks + v * kWordsPerLine, wanted);
  };
  for (std::size_t p = 0; p < n_places; ++p) {
    some.add(load<Words>(left + places[p]) & load<Words>(row + places[p]), places[p]);
    if ((p + 1) % SomeWords::kMost == 0) some.take_bits(look);
  }
  some.take_bits(look);
  return n;
}

std::size_t members(const std::uint64_t* row, std::uint16_t* positions, std::size_t words) {
  SomeWords some;
  std::size_t n = 0;
  const auto put = [&](std::size_t v) { positions[n++] = static_cast<std::uint16_t>(v); };
  for (std::size_t w = 0; w < words; w += kWords) {
    some.add(load<Words>(row + w), w);
    if ((w / kWords + 1) % SomeWords::kMost == 0) some.take_bits(put);
  }
  some.take_bits(put);
  return n;
}

bool sum(std::uint64_t* out, const std::uint64_t* const* rows, std::size_t n_rows, std::size_t words) {
  Words any = {};
  for (std::size_t w = 0; w < words; w += kWords) {
    Words x = load<Words>(rows[0] + w);
    for (std::size_t r = 1; r < n_rows; ++r) x ^= load<Words>(rows[r] + w);
    store(out + w, x);
    any |= x;
  }
  return any_bit(any);
}

}  // namespace

const Kernels KERNEL_TABLE = {
    KERNEL_NAME, BYTE_TILES,   kPanel,   products,    lengths,    product,     squared_difference,
    relax,       remoteness,  largest,      find,     within,      encode,      join,               collect,
    first_within, witness,     unwitnessed, fold_minima, intersect, meet,              others,
    remove,      cover,       leftover, members, sum};

}  // namespace lazy
