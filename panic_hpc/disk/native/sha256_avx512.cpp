// Sixteen messages side by side: x86-64-v4 (AVX-512 F and BW), called only where the processor has it.
#include <immintrin.h>

#include <cstring>

#include "sha256.hpp"

namespace sha256 {
namespace {

using Words = __m512i;

inline Words sum(Words a, Words b) { return _mm512_add_epi32(a, b); }

inline Words parity(Words a, Words b, Words c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }

// Row r of `words` is what lane r has; afterwards row r is word r of all lanes.
inline void transpose(Words (&words)[kLanes]) {
  // 1. Pairs of rows, 2. fours of rows, within each quarter of a register.
  Words two[kLanes], four[kLanes];
  for (std::size_t r = 0; r < kLanes; r += 2) {
    two[r] = _mm512_unpacklo_epi32(words[r], words[r + 1]);
    two[r + 1] = _mm512_unpackhi_epi32(words[r], words[r + 1]);
  }
  for (std::size_t r = 0; r < kLanes; r += 4) {
    four[r] = _mm512_unpacklo_epi64(two[r], two[r + 2]);
    four[r + 1] = _mm512_unpackhi_epi64(two[r], two[r + 2]);
    four[r + 2] = _mm512_unpacklo_epi64(two[r + 1], two[r + 3]);
    four[r + 3] = _mm512_unpackhi_epi64(two[r + 1], two[r + 3]);
  }
  // 3. Quarters change places: register 4g + c has words c, 4 + c, 8 + c and 12 + c of rows 4g to 4g + 3.
  for (std::size_t c = 0; c < 4; ++c) {
    const Words even = _mm512_shuffle_i32x4(four[c], four[4 + c], 0x88);
    const Words odd = _mm512_shuffle_i32x4(four[c], four[4 + c], 0xdd);
    const Words later_even = _mm512_shuffle_i32x4(four[8 + c], four[12 + c], 0x88);
    const Words later_odd = _mm512_shuffle_i32x4(four[8 + c], four[12 + c], 0xdd);
    words[c] = _mm512_shuffle_i32x4(even, later_even, 0x88);
    words[8 + c] = _mm512_shuffle_i32x4(even, later_even, 0xdd);
    words[4 + c] = _mm512_shuffle_i32x4(odd, later_odd, 0x88);
    words[12 + c] = _mm512_shuffle_i32x4(odd, later_odd, 0xdd);
  }
}

}  // namespace

void all_lanes_avx512(States& states, const std::uint8_t* const (&blocks)[kLanes], std::size_t n) {
  const Words big_endian = _mm512_broadcast_i32x4(
      _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  Words state[8];
  for (std::size_t i = 0; i < 8; ++i) state[i] = _mm512_loadu_si512(states[i]);
  for (std::size_t block = 0; block < n; ++block) {
    Words w[kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      w[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[lane] + kBlockBytes * block), big_endian);
    transpose(w);
    Words a = state[0], b = state[1], c = state[2], d = state[3];
    Words e = state[4], f = state[5], g = state[6], h = state[7];
    // Unrolled, `w` lies in registers and a to h change their names instead of being moved.
#pragma GCC unroll 64
    for (std::size_t t = 0; t < 64; ++t) {
      Words& word = w[t % 16];
      if (t >= 16) {
        const Words first = w[(t + 1) % 16], last = w[(t + 14) % 16];
        const Words s0 = parity(_mm512_ror_epi32(first, 7), _mm512_ror_epi32(first, 18),
                                _mm512_srli_epi32(first, 3));
        const Words s1 = parity(_mm512_ror_epi32(last, 17), _mm512_ror_epi32(last, 19),
                                _mm512_srli_epi32(last, 10));
        word = sum(sum(word, s0), sum(w[(t + 9) % 16], s1));
      }
      const Words constant = _mm512_set1_epi32(static_cast<int>(kRoundConstants[t]));
      const Words s1 = parity(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
      const Words choice = _mm512_ternarylogic_epi32(e, f, g, 0xca);
      const Words t1 = sum(sum(sum(h, sum(word, constant)), s1), choice);
      const Words s0 = parity(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
      const Words majority = _mm512_ternarylogic_epi32(a, b, c, 0xe8);
      h = g;
      g = f;
      f = e;
      e = sum(d, t1);
      d = c;
      c = b;
      b = a;
      a = sum(t1, sum(s0, majority));
    }
    const Words added[8] = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] = sum(state[i], added[i]);
  }
  for (std::size_t i = 0; i < 8; ++i) _mm512_storeu_si512(states[i], state[i]);
}

}  // namespace sha256
