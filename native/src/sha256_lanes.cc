#include "sha256_lanes.h"

#include "crypto.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace yore {

namespace {

constexpr size_t kBlock = 64;

// FIPS 180-4, 4.2.2 and 5.3.3.
alignas(16) constexpr uint32_t kConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
constexpr uint32_t kStart[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

bool HasInstructions() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0) return false;
  constexpr uint32_t kSha = 1u << 29;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}

// The last blocks of a message: what is left of it, less than a block, and the padding. Returns how many those are.
size_t Pad(const uint8_t* rest, size_t rest_size, uint64_t message_size, uint8_t blocks[2 * kBlock]) {
  const size_t count = rest_size + 9 > kBlock ? 2 : 1;
  memset(blocks, 0, 2 * kBlock);
  if (rest_size > 0) memcpy(blocks, rest, rest_size);
  blocks[rest_size] = 0x80;
  const uint64_t bits = __builtin_bswap64(message_size * 8);
  memcpy(blocks + count * kBlock - sizeof bits, &bits, sizeof bits);
  return count;
}

void PutHash(const uint32_t state[8], uint8_t* hash) {
  for (int i = 0; i < 8; i++) {
    const uint32_t word = __builtin_bswap32(state[i]);
    memcpy(hash + 4 * i, &word, sizeof word);
  }
}

// One message on its way: whole blocks of it, then its end with the padding.
class Lane {
 public:
  void Begin(const HashInput& input) {
    memcpy(state, kStart, sizeof state);
    at = input.data;
    blocks = input.size / kBlock;
    hash_ = input.hash;
    message_ = nullptr;
    is_end_ = false;
    const size_t rest = input.size % kBlock;
    end_blocks_ = Pad(input.data + input.size - rest, rest, input.size, end_);
    if (blocks == 0) TurnToEnd();
  }

  // So many blocks, one at least, of a message that goes on: its state is kept when they have been hashed.
  void Continue(uint32_t message[8], const uint8_t* data, size_t count) {
    memcpy(state, message, sizeof state);
    at = data;
    blocks = count;
    message_ = message;
  }

  // Goes on by so many of its blocks, which have been hashed. False when the message is at its end.
  bool Advance(size_t done) {
    at += done * kBlock;
    blocks -= done;
    if (blocks > 0) return true;
    if (message_ != nullptr) {
      memcpy(message_, state, sizeof state);
      return false;
    }
    if (!is_end_) {
      TurnToEnd();
      return true;
    }
    PutHash(state, hash_);
    return false;
  }

  uint32_t state[8];
  const uint8_t* at;
  size_t blocks;

 private:
  void TurnToEnd() {
    is_end_ = true;
    at = end_;
    blocks = end_blocks_;
  }

  uint8_t* hash_;
  uint32_t* message_;
  bool is_end_;
  size_t end_blocks_;
  uint8_t end_[2 * kBlock];
};

// Hashes so many blocks of each of the lanes, all of which have as many. The state is kept as the instructions want it:
// words a, b, e, f in one register and c, d, g, h in the other.
template <int kLanes>
__attribute__((target("sha,sse4.1,ssse3"))) void Compress(Lane* const* lanes, size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i abef[kLanes], cdgh[kLanes];
  const uint8_t* at[kLanes];
  for (int lane = 0; lane < kLanes; lane++) {
    const auto* words = reinterpret_cast<const __m128i*>(lanes[lane]->state);
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
    abef[lane] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[lane] = _mm_blend_epi16(efgh, cdab, 0xF0);
    at[lane] = lanes[lane]->at;
  }
  for (; count > 0; count--) {
    __m128i words[kLanes][4], abef_before[kLanes], cdgh_before[kLanes];
    for (int lane = 0; lane < kLanes; lane++) {
      abef_before[lane] = abef[lane];
      cdgh_before[lane] = cdgh[lane];
      for (int i = 0; i < 4; i++) {
        const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at[lane] + 16 * i));
        words[lane][i] = _mm_shuffle_epi8(four, big_endian);
      }
      at[lane] += kBlock;
    }
#pragma GCC unroll 16
    for (int step = 0; step < 16; step++) {
#pragma GCC unroll 2
      for (int lane = 0; lane < kLanes; lane++) {
        __m128i* w = words[lane];
        const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kConstants + 4 * step));
        const __m128i sum = _mm_add_epi32(w[step & 3], constants);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(sum, 0x0E));
        if (step >= 12) continue;
        // The four words that are wanted four steps later.
        const __m128i middle = _mm_alignr_epi8(w[(step + 3) & 3], w[(step + 2) & 3], 4);
        const __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(w[step & 3], w[(step + 1) & 3]), middle);
        w[step & 3] = _mm_sha256msg2_epu32(next, w[(step + 3) & 3]);
      }
    }
    for (int lane = 0; lane < kLanes; lane++) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
  }
  for (int lane = 0; lane < kLanes; lane++) {
    auto* words = reinterpret_cast<__m128i*>(lanes[lane]->state);
    const __m128i feba = _mm_shuffle_epi32(abef[lane], 0x1B);
    const __m128i dchg = _mm_shuffle_epi32(cdgh[lane], 0xB1);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

void HashAlone(Lane* lane) {
  size_t blocks = 0;
  do {
    blocks = lane->blocks;
    Compress<1>(&lane, blocks);
  } while (lane->Advance(blocks));
}

const bool kHasInstructions = HasInstructions();

// Hashes all inputs, and, where `beside` is none of the two lanes that they want, as much of it as fits in between.
// Returns whether something of `beside` is left.
bool HashInLanes(const HashInput* inputs, size_t count, Lane* beside) {
  Lane memory[2];
  Lane* lanes[2];
  const HashInput* const behind = inputs + count;
  int running = 0;
  Lane* free_lane = &memory[0];
  if (beside != nullptr) lanes[running++] = beside;
  for (; running < 2 && inputs < behind; free_lane++) {
    free_lane->Begin(*inputs++);
    lanes[running++] = free_lane;
  }
  // The long message alone waits for more.
  while (running > 0 && !(running == 1 && lanes[0] == beside)) {
    const size_t blocks = running == 2 ? std::min(lanes[0]->blocks, lanes[1]->blocks) : lanes[0]->blocks;
    if (running == 2)
      Compress<2>(lanes, blocks);
    else
      Compress<1>(lanes, blocks);
    for (int i = running - 1; i >= 0; i--) {
      if (lanes[i]->Advance(blocks)) continue;
      if (lanes[i] == beside) {
        beside = nullptr;
        lanes[i] = free_lane;
      }
      if (inputs < behind)
        lanes[i]->Begin(*inputs++);
      else
        std::swap(lanes[i], lanes[--running]);
    }
  }
  return beside != nullptr;
}

}  // namespace

void Sha256All(const HashInput* inputs, size_t count) {
  if (kHasInstructions && count > 1) {
    HashInLanes(inputs, count, nullptr);
    return;
  }
  for (; count > 0; count--, inputs++) Sha256(inputs->data, inputs->size, inputs->hash);
}

struct Sha256Message::State {
  // Where there are no instructions.
  std::unique_ptr<Sha256Stream> stream;
  uint32_t state[8];
  uint64_t size = 0;
  // Less than a block.
  uint8_t rest[kBlock];
  size_t rest_size = 0;
};

Sha256Message::Sha256Message() : state_(std::make_unique<State>()) {
  memcpy(state_->state, kStart, sizeof kStart);
  if (!kHasInstructions) state_->stream = std::make_unique<Sha256Stream>();
}

Sha256Message::Sha256Message(const Sha256Message& other) : state_(std::make_unique<State>()) {
  const State& from = *other.state_;
  if (from.stream != nullptr) state_->stream = std::make_unique<Sha256Stream>(*from.stream);
  memcpy(state_->state, from.state, sizeof from.state);
  state_->size = from.size;
  memcpy(state_->rest, from.rest, from.rest_size);
  state_->rest_size = from.rest_size;
}

Sha256Message& Sha256Message::operator=(Sha256Message&& other) = default;

Sha256Message::~Sha256Message() = default;

void Sha256Message::Finish(uint8_t* hash) {
  if (state_->stream != nullptr) return state_->stream->Finish(hash);
  uint8_t end[2 * kBlock];
  Lane lane;
  lane.Continue(state_->state, end, Pad(state_->rest, state_->rest_size, state_->size, end));
  HashAlone(&lane);
  PutHash(state_->state, hash);
}

struct Sha256Lanes::State {
  Sha256Message::State* message;
  const uint8_t* piece;
  size_t size;
  Lane lane;
  bool is_left = false;
};

Sha256Lanes::Sha256Lanes(Sha256Message* of, const uint8_t* piece, size_t size) : state_(std::make_unique<State>()) {
  Sha256Message::State* message = of->state_.get();
  state_->message = message;
  message->size += size;
  if (kHasInstructions && message->rest_size > 0) {
    const size_t taken = std::min(size, kBlock - message->rest_size);
    if (taken > 0) memcpy(message->rest + message->rest_size, piece, taken);
    message->rest_size += taken;
    piece += taken;
    size -= taken;
    if (message->rest_size == kBlock) {
      state_->lane.Continue(message->state, message->rest, 1);
      HashAlone(&state_->lane);
      message->rest_size = 0;
    }
  }
  state_->piece = piece;
  state_->size = size;
  state_->is_left = kHasInstructions && size >= kBlock;
  if (state_->is_left) state_->lane.Continue(message->state, piece, size / kBlock);
}

Sha256Lanes::~Sha256Lanes() = default;

void Sha256Lanes::Hash(const HashInput* inputs, size_t count) {
  if (state_->is_left)
    state_->is_left = HashInLanes(inputs, count, &state_->lane);
  else
    Sha256All(inputs, count);
}

void Sha256Lanes::Finish() {
  Sha256Message::State* message = state_->message;
  if (message->stream != nullptr) return message->stream->Update(state_->piece, state_->size);
  if (state_->is_left) HashAlone(&state_->lane);
  const size_t rest = state_->size % kBlock;
  if (rest == 0) return;
  memcpy(message->rest, state_->piece + state_->size - rest, rest);
  message->rest_size = rest;
}

}  // namespace yore

#else

namespace yore {

void Sha256All(const HashInput* inputs, size_t count) {
  for (; count > 0; count--, inputs++) Sha256(inputs->data, inputs->size, inputs->hash);
}

struct Sha256Message::State {
  Sha256Stream stream;
};

Sha256Message::Sha256Message() : state_(std::make_unique<State>()) {}

Sha256Message::Sha256Message(const Sha256Message& other) : state_(std::make_unique<State>(*other.state_)) {}

Sha256Message& Sha256Message::operator=(Sha256Message&& other) = default;

Sha256Message::~Sha256Message() = default;

void Sha256Message::Finish(uint8_t* hash) { state_->stream.Finish(hash); }

struct Sha256Lanes::State {
  Sha256Message::State* message;
  const uint8_t* piece;
  size_t size;
};

Sha256Lanes::Sha256Lanes(Sha256Message* of, const uint8_t* piece, size_t size)
    : state_(std::make_unique<State>(State{of->state_.get(), piece, size})) {}

Sha256Lanes::~Sha256Lanes() = default;

void Sha256Lanes::Hash(const HashInput* inputs, size_t count) { Sha256All(inputs, count); }

void Sha256Lanes::Finish() { state_->message->stream.Update(state_->piece, state_->size); }

}  // namespace yore

#endif
