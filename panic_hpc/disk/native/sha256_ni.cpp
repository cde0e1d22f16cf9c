// One message by the processor's instructions for SHA-256, called only where it has them.
#include <immintrin.h>

#include "sha256.hpp"

namespace sha256 {

void one_lane_sha(std::uint32_t (&state)[8], const std::uint8_t* blocks, std::size_t n) {
  const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  auto* words = reinterpret_cast<__m128i*>(state);
  // The instructions take (a, b, e, f) and (c, d, g, h), highest first.
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  for (std::size_t block = 0; block < n; ++block) {
    const auto* data = reinterpret_cast<const __m128i*>(blocks + kBlockBytes * block);
    const auto* constants = reinterpret_cast<const __m128i*>(kRoundConstants);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (std::size_t i = 0; i < 4; ++i)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(data + i), big_endian);
    // Four rounds a time; what comes in four turns is made where its predecessor was.
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) {
      __m128i& word = w[i % 4];
      const __m128i last = w[(i + 3) % 4];
      const __m128i added = _mm_add_epi32(word, _mm_loadu_si128(constants + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, added);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(added, 0x0E));
      if (i < 12) {
        const __m128i middle = _mm_alignr_epi8(last, w[(i + 2) % 4], 4);
        word = _mm_add_epi32(_mm_sha256msg1_epu32(word, w[(i + 1) % 4]), middle);
        word = _mm_sha256msg2_epu32(word, last);
      }
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace sha256
