#include "sha256.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <numeric>

#if defined(SHA256_X86)
#include <cpuid.h>
#endif

namespace sha256 {

alignas(64) const std::uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

namespace {

constexpr std::uint32_t kInitial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
// Sixteen of them fit into the processor's second cache with room to spare.
constexpr std::size_t kStagedBytes = 16 * 1024;
// The end of a message: a bit, zeros up to a whole block, and its length.
constexpr std::size_t kPaddingBytes = 2 * kBlockBytes;
// With fewer messages than these, one after the other takes less time where the processor can: a block of
// all lanes takes about as long as seven of one.
constexpr std::size_t kFewLanes = 8;

bool read_all(const Part& part, std::uint64_t from, std::uint8_t* out, std::size_t nbytes) {
  for (std::size_t done = 0; done < nbytes;) {
    const auto place = static_cast<off_t>(part.place + from + done);
    const ssize_t got = pread(part.descriptor, out + done, nbytes - done, place);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

// A message on its way: whole blocks are staged, and at its end the padding after them.
class Lane {
 public:
  bool is_live() const { return message_ != nullptr; }
  std::size_t number() const { return number_; }
  std::size_t blocks() const { return (staged_ - taken_) / kBlockBytes; }
  const std::uint8_t* next() const { return buffer_.get() + taken_; }
  void take(std::size_t n) { taken_ += n * kBlockBytes; }
  bool is_done() const { return padded_ && taken_ == staged_; }
  void end() { message_ = nullptr; }

  void begin(const Message& message, std::size_t number) {
    if (buffer_ == nullptr) buffer_ = std::make_unique<std::uint8_t[]>(kStagedBytes + kPaddingBytes);
    message_ = &message;
    number_ = number;
    part_ = 0;
    from_ = length_ = 0;
    padded_ = false;
    taken_ = staged_ = 0;
  }

  // Stages more once all is taken; false where a file cannot be read.
  bool fill() {
    if (taken_ < staged_ || padded_) return true;
    taken_ = staged_ = 0;
    while (staged_ < kStagedBytes && part_ < message_->size()) {
      const Part& part = (*message_)[part_];
      const std::size_t n =
          static_cast<std::size_t>(std::min<std::uint64_t>(kStagedBytes - staged_, part.nbytes - from_));
      if (part.data != nullptr)
        std::memcpy(buffer_.get() + staged_, part.data + from_, n);
      else if (!read_all(part, from_, buffer_.get() + staged_, n))
        return false;
      staged_ += n;
      from_ += n;
      if (from_ == part.nbytes) {
        ++part_;
        from_ = 0;
      }
    }
    length_ += staged_;
    if (part_ == message_->size()) pad();
    return true;
  }

 private:
  void pad() {
    std::uint8_t* end = buffer_.get() + staged_;
    const std::size_t zeros = (2 * kBlockBytes - 9 - staged_ % kBlockBytes) % kBlockBytes;
    *end++ = 0x80;
    std::memset(end, 0, zeros);
    end += zeros;
    const std::uint64_t bits = 8 * length_;
    for (int shift = 56; shift >= 0; shift -= 8) *end++ = static_cast<std::uint8_t>(bits >> shift);
    staged_ = static_cast<std::size_t>(end - buffer_.get());
    padded_ = true;
  }

  const Message* message_ = nullptr;
  std::size_t number_ = 0, part_ = 0;
  std::uint64_t from_ = 0, length_ = 0;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t taken_ = 0, staged_ = 0;
  bool padded_ = false;
};

class Hashing {
 public:
  Hashing(const std::vector<Message>& messages, const Kernels& kernels, std::uint8_t* out)
      : messages_(messages), kernels_(kernels), out_(out), order_(messages.size()) {
    // The longest first, so that lanes end together.
    std::vector<std::uint64_t> sizes;
    for (const Message& message : messages) {
      std::uint64_t size = 0;
      for (const Part& part : message) size += part.nbytes;
      sizes.push_back(size);
    }
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
  }

  bool run() {
    // 1. A lane that is free takes the next message. 2. All that have nothing staged read on. 3. All go on
    // by as many blocks as each of them has. 4. What is done is written out.
    for (;;) {
      std::size_t live = 0;
      for (std::size_t l = 0; l < kLanes; ++l) {
        if (!lanes_[l].is_live() && next_ < order_.size()) begin(l);
        if (!lanes_[l].is_live()) continue;
        if (!lanes_[l].fill()) return false;
        ++live;
      }
      if (live == 0) return true;
      if (kernels_.all != nullptr && (kernels_.one == nullptr || live >= kFewLanes))
        advance_all();
      else
        advance_each();
      for (std::size_t l = 0; l < kLanes; ++l)
        if (lanes_[l].is_live() && lanes_[l].is_done()) finish(l);
    }
  }

 private:
  void begin(std::size_t l) {
    const std::size_t number = order_[next_++];
    lanes_[l].begin(messages_[number], number);
    for (std::size_t word = 0; word < 8; ++word) states_[word][l] = kInitial[word];
  }

  void advance_all() {
    std::size_t n = kStagedBytes;
    const Lane* any = nullptr;
    for (const Lane& lane : lanes_) {
      if (!lane.is_live()) continue;
      n = std::min(n, lane.blocks());
      any = &lane;
    }
    const std::uint8_t* blocks[kLanes];
    // Lanes without a message do what another does, for nothing.
    for (std::size_t l = 0; l < kLanes; ++l) blocks[l] = (lanes_[l].is_live() ? lanes_[l] : *any).next();
    kernels_.all(states_, blocks, n);
    for (Lane& lane : lanes_)
      if (lane.is_live()) lane.take(n);
  }

  void advance_each() {
    for (std::size_t l = 0; l < kLanes; ++l) {
      Lane& lane = lanes_[l];
      if (!lane.is_live()) continue;
      std::uint32_t state[8];
      for (std::size_t word = 0; word < 8; ++word) state[word] = states_[word][l];
      kernels_.one(state, lane.next(), lane.blocks());
      lane.take(lane.blocks());
      for (std::size_t word = 0; word < 8; ++word) states_[word][l] = state[word];
    }
  }

  void finish(std::size_t l) {
    std::uint8_t* out = out_ + kDigestBytes * lanes_[l].number();
    for (std::size_t word = 0; word < 8; ++word)
      for (int shift = 24; shift >= 0; shift -= 8)
        *out++ = static_cast<std::uint8_t>(states_[word][l] >> shift);
    lanes_[l].end();
  }

  const std::vector<Message>& messages_;
  const Kernels& kernels_;
  std::uint8_t* out_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
  Lane lanes_[kLanes];
  States states_ = {};
};

#if defined(SHA256_X86)
// Bit 29 of ebx of leaf 7: __builtin_cpu_supports has no name for it in GCC 12.
bool has_sha() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
}
#endif

}  // namespace

std::vector<Kernels> kernels() {
  std::vector<Kernels> found;
#if defined(SHA256_X86)
  const bool wide = __builtin_cpu_supports("x86-64-v4"), sha = has_sha();
  if (wide && sha) found.push_back({"avx512 and sha", all_lanes_avx512, one_lane_sha});
  if (wide) found.push_back({"avx512", all_lanes_avx512, nullptr});
  if (sha) found.push_back({"sha", nullptr, one_lane_sha});
#endif
  return found;
}

bool digests(const std::vector<Message>& messages, const Kernels& chosen, std::uint8_t* out) {
  return Hashing(messages, chosen, out).run();
}

}  // namespace sha256
