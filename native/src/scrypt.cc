#include "scrypt.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace yore {

namespace {

// Four words that are worked on at once: the compiler makes SSE2, NEON or plain words of it.
using Row = uint32_t __attribute__((vector_size(16)));

constexpr size_t kRowsABlock = 4;
constexpr size_t kWordsABlock = 16;
constexpr size_t kBlockBytes = 64;
constexpr size_t kHugePage = 2 * 1024 * 1024;

#if defined(__clang__)
#define YORE_SHUFFLE(row, a, b, c, d) __builtin_shufflevector(row, row, a, b, c, d)
#else
#define YORE_SHUFFLE(row, a, b, c, d) __builtin_shuffle(row, Row{a, b, c, d})
#endif

// Memory that is given back wiped. Aligned to huge pages: the mixing jumps about in it, which without them costs a look
// at the page table each time.
class Rows {
 public:
  explicit Rows(size_t rows) : bytes_(rows * sizeof(Row)) {
    const size_t alignment = bytes_ >= kHugePage ? kHugePage : 64;
    const size_t rounded = (bytes_ + alignment - 1) / alignment * alignment;
    rows_ = static_cast<Row*>(aligned_alloc(alignment, rounded));
    if (rows_ == nullptr) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (alignment == kHugePage) madvise(rows_, rounded, MADV_HUGEPAGE);
#endif
  }
  ~Rows() {
    OPENSSL_cleanse(rows_, bytes_);
    free(rows_);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  Row* get() { return rows_; }

 private:
  size_t bytes_;
  Row* rows_;
};

template <int kBits>
inline __attribute__((always_inline)) Row Rotated(Row row) {
  return (row << kBits) | (row >> (32 - kBits));
}

// Salsa20/8 of a block whose rows are the diagonals of the matrix, so that a quarter-round is four at once.
inline __attribute__((always_inline)) void Salsa8(Row block[kRowsABlock]) {
  Row a = block[0], b = block[1], c = block[2], d = block[3];
  for (int i = 0; i < 8; i += 2) {
    b ^= Rotated<7>(a + d);
    c ^= Rotated<9>(b + a);
    d ^= Rotated<13>(c + b);
    a ^= Rotated<18>(d + c);
    b = YORE_SHUFFLE(b, 3, 0, 1, 2);
    c = YORE_SHUFFLE(c, 2, 3, 0, 1);
    d = YORE_SHUFFLE(d, 1, 2, 3, 0);
    d ^= Rotated<7>(a + b);
    c ^= Rotated<9>(d + a);
    b ^= Rotated<13>(c + d);
    a ^= Rotated<18>(b + c);
    b = YORE_SHUFFLE(b, 1, 2, 3, 0);
    c = YORE_SHUFFLE(c, 2, 3, 0, 1);
    d = YORE_SHUFFLE(d, 3, 0, 1, 2);
  }
  block[0] += a;
  block[1] += b;
  block[2] += c;
  block[3] += d;
}

// scryptBlockMix of `in`, or of `in` xor `other` where there is one. `out` is another piece of memory.
template <bool kWithOther>
inline __attribute__((always_inline)) void BlockMix(const Row* in, const Row* other, Row* out, size_t r) {
  Row x[kRowsABlock] = {};
  for (size_t row = 0; row < kRowsABlock; row++) {
    const size_t last = (2 * r - 1) * kRowsABlock + row;
    x[row] = kWithOther ? in[last] ^ other[last] : in[last];
  }
  for (size_t i = 0; i < 2 * r; i++) {
    for (size_t row = 0; row < kRowsABlock; row++) {
      const size_t at = i * kRowsABlock + row;
      x[row] ^= kWithOther ? in[at] ^ other[at] : in[at];
    }
    Salsa8(x);
    // The even ones come to the front, the odd ones behind them.
    Row* to = out + (i / 2 + (i % 2) * r) * kRowsABlock;
    for (size_t row = 0; row < kRowsABlock; row++) to[row] = x[row];
  }
}

// `table` has room for N states of 2 * r blocks, of which the first is there, `states` for two. Returns the last state.
inline __attribute__((always_inline)) Row* Mix(Row* table, Row* states, size_t r, uint32_t cost) {
  const size_t rows = 2 * r * kRowsABlock;
  for (uint32_t i = 0; i + 1 < cost; i++) BlockMix<false>(table + i * rows, nullptr, table + (i + 1) * rows, r);
  Row* state = states;
  Row* next = states + rows;
  BlockMix<false>(table + (cost - 1) * rows, nullptr, state, r);
  for (uint32_t i = 0; i < cost; i++) {
    // The low word of the last block: N is a power of two of at most 2^31.
    const uint32_t j = state[(2 * r - 1) * kRowsABlock][0] & (cost - 1);
    BlockMix<true>(state, table + j * rows, next, r);
    Row* done = state;
    state = next;
    next = done;
  }
  return state;
}

#if defined(__x86_64__) && defined(__GNUC__)
// With an instruction that rotates: Salsa20 is one long chain of additions, rotations and xors, and a rotation takes
// three instructions without it.
__attribute__((target("avx512vl"))) Row* MixWithRotate(Row* table, Row* states, size_t r, uint32_t cost) {
  return Mix(table, states, r, cost);
}
#endif

Row* MixFastest(Row* table, Row* states, size_t r, uint32_t cost) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512vl")) return MixWithRotate(table, states, r, cost);
#endif
  return Mix(table, states, r, cost);
}

// Word i of a row of diagonals is word 5 * i of the block.
size_t Diagonal(size_t word) { return word * 5 % kWordsABlock; }

}  // namespace

void ScryptMix(uint8_t* block, size_t r, uint32_t cost) {
  const size_t blocks = 2 * r;
  // Apart, because the table of restic's keys is so many huge pages to the byte.
  Rows table(static_cast<size_t>(cost) * blocks * kRowsABlock);
  Rows states(2 * blocks * kRowsABlock);
  Row* rows = table.get();
  for (size_t i = 0; i < blocks; i++) {
    for (size_t word = 0; word < kWordsABlock; word++) {
      const uint8_t* from = block + i * kBlockBytes + Diagonal(word) * 4;
      rows[i * kRowsABlock + word / 4][word % 4] = static_cast<uint32_t>(from[0]) | static_cast<uint32_t>(from[1]) << 8 |
                                                   static_cast<uint32_t>(from[2]) << 16 |
                                                   static_cast<uint32_t>(from[3]) << 24;
    }
  }
  const Row* state = MixFastest(rows, states.get(), r, cost);
  for (size_t i = 0; i < blocks; i++) {
    for (size_t word = 0; word < kWordsABlock; word++) {
      const uint32_t value = state[i * kRowsABlock + word / 4][word % 4];
      uint8_t* to = block + i * kBlockBytes + Diagonal(word) * 4;
      for (size_t byte = 0; byte < 4; byte++) to[byte] = static_cast<uint8_t>(value >> (8 * byte));
    }
  }
}

}  // namespace yore
