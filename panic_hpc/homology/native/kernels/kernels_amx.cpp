// Kernels for x86-64-v4 with AMX, of which only those of byte_tiles.hpp are other than for AVX-512.
#define VECTOR_BYTES 64
#define KERNEL_TABLE kAmxKernels
#define KERNEL_NAME "amx"
#define BYTE_TILES &kByteTiles

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own headers leave vectors undefined on purpose.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/byte_tiles.hpp"

namespace lazy {
namespace {

bool ready() {
#ifdef __linux__
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
  static const bool given = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return given;
#else
  return false;
#endif
}

struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {kTileBytes, kTileBytes, kTileBytes, kTileBytes,
                             kTileBytes, kTileBytes, kTileBytes, kTileBytes};
  std::uint8_t rows[16] = {kTileRows, kTileRows, kTileRows, kTileRows,
                           kTileRows, kTileRows, kTileRows, kTileRows};
};

// A constant: to GCC, of an object on the stack only its first word would be read.
constexpr TileConfiguration kConfiguration;

void begin_tiles() { _tile_loadconfig(&kConfiguration); }

void end_tiles() { _tile_release(); }

float largest_of(const float* row, std::size_t d) {
  __m512 most = _mm512_setzero_ps();
  for (std::size_t k = 0; k < d; k += 16) {
    const __mmask16 mask = d - k >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (d - k)) - 1);
    most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(mask, row + k)));
  }
  return _mm512_reduce_max_ps(most);
}

RowSums slice(const float* row, std::size_t d, double unit, std::size_t place, std::size_t n_chunks,
              std::int8_t* tiles, LeftOver* left) {
  const __m512d scale = _mm512_set1_pd(1 / unit), back = _mm512_set1_pd(unit);
  const __m512i bias = _mm512_set1_epi32(0x00808080);
  __m512d left_over = _mm512_setzero_pd();
  __m512i third = _mm512_setzero_si512(), fourth = third;
  std::size_t n_left = 0;
  for (std::size_t chunk = 0; chunk < n_chunks; ++chunk)
    for (std::size_t part = 0; part < kTileBytes; part += 16) {
      const std::size_t k = chunk * kTileBytes + part, n = k < d ? d - k : 0;
      const __mmask16 mask = n >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << n) - 1);
      const __m512 x = _mm512_maskz_loadu_ps(mask, row + (n > 0 ? k : 0));
      const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
      const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
      const __m256i q0 = _mm512_cvtpd_epi32(low * scale), q1 = _mm512_cvtpd_epi32(high * scale);
      const __m512d rest0 = low - _mm512_cvtepi32_pd(q0) * back, rest1 = high - _mm512_cvtepi32_pd(q1) * back;
      left_over += rest0 * rest0 + rest1 * rest1;
      const __m512d zero = _mm512_setzero_pd();
      const unsigned low_mask = _mm512_cmp_pd_mask(rest0, zero, _CMP_NEQ_OQ);
      if (unsigned bits = low_mask | static_cast<unsigned>(_mm512_cmp_pd_mask(rest1, zero, _CMP_NEQ_OQ)) << 8) {
        float rests[16];
        _mm256_storeu_ps(rests, _mm512_cvtpd_ps(rest0));
        _mm256_storeu_ps(rests + 8, _mm512_cvtpd_ps(rest1));
        for (; bits != 0; bits &= bits - 1, ++n_left)
          if (n_left < kMostLeft) {
            const unsigned l = static_cast<unsigned>(__builtin_ctz(bits));
            left[n_left] = {rests[l], static_cast<std::uint32_t>(k + l)};
          }
      }
      // Carries make bytes of the digits: three of -128 to 127, the highest of -127 to 127.
      const __m512i q = _mm512_inserti32x8(_mm512_castsi256_si512(q0), q1, 1);
      const __m512i bytes = _mm512_xor_si512(_mm512_add_epi32(q, bias), bias);
      const __m512i two = _mm512_srai_epi32(_mm512_slli_epi32(bytes, 16), 24);
      const __m512i three = _mm512_srai_epi32(_mm512_slli_epi32(bytes, 24), 24);
      third = _mm512_add_epi32(third, _mm512_mullo_epi32(two, two));
      fourth = _mm512_add_epi32(fourth, _mm512_mullo_epi32(three, three));
      std::int8_t* to = tiles + chunk * kDigits * kTileSize + place * kTileBytes + part;
      for (unsigned digit = 0; digit < kDigits; ++digit) {
        const __m128i values = _mm512_cvtepi32_epi8(_mm512_srli_epi32(bytes, 24 - 8 * digit));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + digit * kTileSize), values);
      }
    }
  return {_mm512_reduce_add_pd(left_over), static_cast<double>(_mm512_reduce_add_epi32(third)),
          static_cast<double>(_mm512_reduce_add_epi32(fourth)), n_left};
}

// Numbers of two rows become pairs, pairs of two rows fours, which then go to the rows where they belong.
inline void transpose_tile(const char* tile, char* transposed) {
  __m512i row[16], pair[16], four[16];
  for (int r = 0; r < 16; ++r) row[r] = _mm512_loadu_si512(tile + r * 64);
  for (int r = 0; r < 16; r += 2) {
    pair[r] = _mm512_unpacklo_epi32(row[r], row[r + 1]);
    pair[r + 1] = _mm512_unpackhi_epi32(row[r], row[r + 1]);
  }
  for (int r = 0; r < 16; r += 4)
    for (int k = 0; k < 2; ++k) {
      four[r + 2 * k] = _mm512_unpacklo_epi64(pair[r + k], pair[r + k + 2]);
      four[r + 2 * k + 1] = _mm512_unpackhi_epi64(pair[r + k], pair[r + k + 2]);
    }
  const auto put_row = [transposed](int r, __m512i values) { _mm512_storeu_si512(transposed + r * 64, values); };
  for (int c = 0; c < 4; ++c) {
    const __m512i even = _mm512_shuffle_i32x4(four[c], four[4 + c], 0x88);
    const __m512i odd = _mm512_shuffle_i32x4(four[c], four[4 + c], 0xDD);
    const __m512i even_low = _mm512_shuffle_i32x4(four[8 + c], four[12 + c], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(four[8 + c], four[12 + c], 0xDD);
    put_row(c, _mm512_shuffle_i32x4(even, even_low, 0x88));
    put_row(4 + c, _mm512_shuffle_i32x4(odd, odd_low, 0x88));
    put_row(8 + c, _mm512_shuffle_i32x4(even, even_low, 0xDD));
    put_row(12 + c, _mm512_shuffle_i32x4(odd, odd_low, 0xDD));
  }
}

void transpose(const void* tiles, std::size_t n_tiles, void* transposed) {
  for (std::size_t t = 0; t < n_tiles; ++t)
    transpose_tile(static_cast<const char*>(tiles) + t * kTileSize, static_cast<char*>(transposed) + t * kTileSize);
}

void put(const float* numbers, std::size_t height, std::size_t width, float* to, std::size_t columns) {
  const __mmask16 mask = static_cast<__mmask16>((1u << width) - 1);
  for (std::size_t r = 0; r < height; ++r)
    _mm512_mask_storeu_ps(to + r * columns, mask, _mm512_loadu_ps(numbers + r * kTileRows));
}

// Sums of products of digits whose places add up to 0, 1, 2, 3 and 4.
struct alignas(64) Sums {
  std::int32_t of[5][kTileRows * kTileRows];
};

// Calls between(chunk) while the products of a chunk are under way.
template <class Between>
inline void add_products(const std::int8_t* left, const std::int8_t* right, std::size_t n_chunks, Sums& sums,
                         const Between& between) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  for (std::size_t chunk = 0; chunk < n_chunks; ++chunk) {
    const std::int8_t *a = left + chunk * kDigits * kTileSize, *b = right + chunk * kDigits * kTileSize;
    _tile_loadd(5, a, kTileBytes);
    _tile_loadd(6, a + kTileSize, kTileBytes);
    _tile_loadd(7, b, kTileBytes);
    _tile_dpbssd(0, 5, 7);
    _tile_dpbssd(1, 6, 7);
    _tile_loadd(7, b + kTileSize, kTileBytes);
    _tile_dpbssd(1, 5, 7);
    _tile_dpbssd(2, 6, 7);
    _tile_loadd(7, b + 2 * kTileSize, kTileBytes);
    _tile_dpbssd(2, 5, 7);
    _tile_dpbssd(3, 6, 7);
    _tile_loadd(7, b + 3 * kTileSize, kTileBytes);
    _tile_dpbssd(3, 5, 7);
    _tile_dpbssd(4, 6, 7);
    _tile_loadd(5, a + 2 * kTileSize, kTileBytes);
    _tile_loadd(6, a + 3 * kTileSize, kTileBytes);
    _tile_loadd(7, b, kTileBytes);
    _tile_dpbssd(2, 5, 7);
    _tile_dpbssd(3, 6, 7);
    _tile_loadd(7, b + kTileSize, kTileBytes);
    _tile_dpbssd(3, 5, 7);
    _tile_dpbssd(4, 6, 7);
    _tile_loadd(7, b + 2 * kTileSize, kTileBytes);
    _tile_dpbssd(4, 5, 7);
    between(chunk);
  }
  _tile_stored(0, sums.of[0], 64);
  _tile_stored(1, sums.of[1], 64);
  _tile_stored(2, sums.of[2], 64);
  _tile_stored(3, sums.of[3], 64);
  _tile_stored(4, sums.of[4], 64);
}

// Eight sums of products, in units of 2^16 times the rows' units. They fit: d 2^47 < 2^63.
inline __m512d combined(const std::int32_t (*sums)[kTileRows * kTileRows], std::size_t place) {
  __m512i total = _mm512_setzero_si512();
  for (int k = 0; k < 5; ++k) {
    const __m256i next = _mm256_load_si256(reinterpret_cast<const __m256i*>(sums[k] + place));
    total = _mm512_add_epi64(_mm512_slli_epi64(total, 8), _mm512_cvtepi32_epi64(next));
  }
  return _mm512_cvtepi64_pd(total);
}

// Lengths of row i and 16 others from `column` on, and their products; returns which are in doubt, as bits.
inline unsigned row_lengths(const std::int32_t (*sums)[kTileRows * kTileRows], std::size_t place,
                            const RowBounds& bounds, std::size_t i, std::size_t column, double close, float* out,
                            double* products) {
  unsigned certain = 0;
  for (std::size_t c = 0; c < kTileRows; c += 8) {
    const std::size_t j = column + c;
    const auto of = [j](const double* values) { return _mm512_loadu_pd(values + j); };
    const __m512d product =
        combined(sums, place + c) * (_mm512_set1_pd(65536 * bounds.units[i]) * of(bounds.units));
    _mm512_storeu_pd(products + c, product);
    const __m512d scale = bounds.squares[i] + of(bounds.squares), squared = scale - 2 * product;
    // Twice the error of the product, and the rounding of what was just computed, here and there.
    const __m512d error = 2 * (bounds.norms[i] * of(bounds.errors) + bounds.errors[i] * of(bounds.norms) +
                               bounds.tails[i] * of(bounds.tails)) +
                          1e-15 * scale;
    const __m512d length = _mm512_sqrt_pd(squared);
    // Of the root: error / (2 length) where the error is small, and twice its own rounding.
    const __m512d wide = 0.51 * error * _mm512_rsqrt14_pd(squared) + 5e-16 * length;
    const __m256 lowest = _mm512_cvtpd_ps(length - wide), highest = _mm512_cvtpd_ps(length + wide);
    const __mmask8 same = _mm256_cmp_ps_mask(lowest, highest, _CMP_EQ_OQ);
    const __mmask8 far = _mm512_cmp_pd_mask(squared, 2 * close * scale, _CMP_GE_OQ);
    const __mmask8 small = _mm512_cmp_pd_mask(1e-3 * squared, error, _CMP_GE_OQ);
    certain |= static_cast<unsigned>(same & far & small) << c;
    _mm256_storeu_ps(out + c, lowest);
  }
  return ~certain & 0xFFFF;
}

// The lengths of a tile are made while the matrix unit, which takes most of the time, is at the next.
void tile_lengths(const std::int8_t* left, const std::int8_t* rights, std::size_t n_rights, std::size_t n_chunks,
                  const RowBounds& bounds, std::size_t row, std::size_t column, double close, TileLengths* out) {
  Sums sums[2];
  const std::size_t share = (kTileRows + n_chunks - 1) / n_chunks;
  for (std::size_t k = 0; k <= n_rights; ++k) {
    std::size_t r = 0;
    const auto finish_last = [&](std::size_t end) {
      TileLengths& last = out[k - 1];
      for (; r < end && r < kTileRows; ++r) {
        const std::size_t place = r * kTileRows;
        last.doubtful[r] = static_cast<std::uint16_t>(
            row_lengths(sums[(k - 1) % 2].of, place, bounds, row + r, column + (k - 1) * kTileRows, close,
                        last.lengths + place, last.products + place));
      }
    };
    if (k < n_rights)
      add_products(left, rights + k * n_chunks * kDigits * kTileSize, n_chunks, sums[k % 2], [&](std::size_t chunk) {
        if (k > 0) finish_last((chunk + 1) * share);
      });
    if (k > 0) finish_last(kTileRows);
  }
}

const ByteTiles kByteTiles = {ready, largest_of, slice, transpose, put, tile_lengths, begin_tiles, end_tiles};

}  // namespace
}  // namespace lazy

#include "kernels/kernels_body.hpp"
