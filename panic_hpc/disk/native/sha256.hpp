// SHA-256 (FIPS 180-4) of many messages at once.
//
// One message is a chain: no block can begin before the last one has ended, and that is what bounds a single
// stream. Sixteen messages have nothing to do with each other, so they lie side by side in the sixteen
// numbers of a register and all go on at every instruction. Where few are left, and with the processor's
// own instructions for SHA-256, one after the other is faster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sha256 {

inline constexpr std::size_t kLanes = 16;
inline constexpr std::size_t kBlockBytes = 64;
inline constexpr std::size_t kDigestBytes = 32;

// Word w of the state of lane l.
using States = std::uint32_t[8][kLanes];

extern const std::uint32_t kRoundConstants[64];

// Takes n blocks of every lane.
using AllLanes = void (*)(States& states, const std::uint8_t* const (&blocks)[kLanes], std::size_t n);
// Takes n blocks of one message.
using OneLane = void (*)(std::uint32_t (&state)[8], const std::uint8_t* blocks, std::size_t n);

#if defined(SHA256_X86)
void all_lanes_avx512(States& states, const std::uint8_t* const (&blocks)[kLanes], std::size_t n);
void one_lane_sha(std::uint32_t (&state)[8], const std::uint8_t* blocks, std::size_t n);
#endif

// What computes: at least one of the two is there.
struct Kernels {
  const char* name;
  AllLanes all;
  OneLane one;
};

// Those that this processor can run, the best first; none where hashlib is as good.
std::vector<Kernels> kernels();

// Bytes of a message: in memory, or where `data` is null in an open file.
struct Part {
  const std::uint8_t* data;
  int descriptor;
  std::uint64_t place;
  std::uint64_t nbytes;
};

using Message = std::vector<Part>;

// Writes the digests one after the other; false where a file cannot be read or ends too early.
bool digests(const std::vector<Message>& messages, const Kernels& kernels, std::uint8_t* out);

}  // namespace sha256
