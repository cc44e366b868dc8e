#include "scrypt.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace yore {

namespace {

// Four words of a block, which are worked on at once: the compiler makes SSE2, NEON or plain words of it.
using Row = uint32_t __attribute__((vector_size(16)));
// A row of each of two lanes, where there are registers of that size (AVX2). Anywhere else it is slower than two rows.
using Pair = uint32_t __attribute__((vector_size(32)));

constexpr size_t kRowsABlock = 4;
constexpr size_t kWordsABlock = 16;
constexpr size_t kBlockBytes = 64;
constexpr size_t kHugePage = 2 * 1024 * 1024;

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

template <class Vector>
constexpr size_t kLanesOf = sizeof(Vector) / sizeof(Row);
// How many vectors hold a row of each lane. What is left over in the last one works on the last lane once more.
template <class Vector, size_t kLanes>
constexpr size_t kVectorsOf = (kLanes + kLanesOf<Vector> - 1) / kLanesOf<Vector>;

// Nothing of this is called, so that nobody minds how a function takes vectors where there are no registers for them.
#pragma GCC diagnostic ignored "-Wpsabi"
#define YORE_INLINE inline __attribute__((always_inline))
#define YORE_EACH_LANE for (size_t lane = 0; lane < kLanes; lane++)
#define YORE_EACH_VECTOR for (size_t v = 0; v < kVectors; v++)
#define YORE_EACH_ROW for (size_t row = 0; row < kRowsABlock; row++)

template <int kBits, class Vector>
YORE_INLINE Vector Rotated(Vector vector) {
  return (vector << kBits) | (vector >> (32 - kBits));
}

// The words of each row in another order.
template <int a, int b, int c, int d>
YORE_INLINE Row Shuffled(Row row) {
  return __builtin_shufflevector(row, row, a, b, c, d);
}
template <int a, int b, int c, int d>
YORE_INLINE Pair Shuffled(Pair pair) {
  return __builtin_shufflevector(pair, pair, a, b, c, d, 4 + a, 4 + b, 4 + c, 4 + d);
}

// Salsa20/8 of a block of each lane, whose rows are the diagonals of the matrix, so that a quarter-round is four at once.
// Each step waits for the one before it: four lanes side by side take hardly longer than one.
template <class Vector, size_t kVectors>
YORE_INLINE void Salsa8(Vector block[kVectors][kRowsABlock]) {
  Vector a[kVectors], b[kVectors], c[kVectors], d[kVectors];
  YORE_EACH_VECTOR {
    a[v] = block[v][0];
    b[v] = block[v][1];
    c[v] = block[v][2];
    d[v] = block[v][3];
  }
  for (int i = 0; i < 8; i += 2) {
    YORE_EACH_VECTOR b[v] ^= Rotated<7>(a[v] + d[v]);
    YORE_EACH_VECTOR c[v] ^= Rotated<9>(b[v] + a[v]);
    YORE_EACH_VECTOR d[v] ^= Rotated<13>(c[v] + b[v]);
    YORE_EACH_VECTOR a[v] ^= Rotated<18>(d[v] + c[v]);
    YORE_EACH_VECTOR {
      b[v] = Shuffled<3, 0, 1, 2>(b[v]);
      c[v] = Shuffled<2, 3, 0, 1>(c[v]);
      d[v] = Shuffled<1, 2, 3, 0>(d[v]);
    }
    YORE_EACH_VECTOR d[v] ^= Rotated<7>(a[v] + b[v]);
    YORE_EACH_VECTOR c[v] ^= Rotated<9>(d[v] + a[v]);
    YORE_EACH_VECTOR b[v] ^= Rotated<13>(c[v] + d[v]);
    YORE_EACH_VECTOR a[v] ^= Rotated<18>(b[v] + c[v]);
    YORE_EACH_VECTOR {
      b[v] = Shuffled<1, 2, 3, 0>(b[v]);
      c[v] = Shuffled<2, 3, 0, 1>(c[v]);
      d[v] = Shuffled<3, 0, 1, 2>(d[v]);
    }
  }
  YORE_EACH_VECTOR {
    block[v][0] += a[v];
    block[v][1] += b[v];
    block[v][2] += c[v];
    block[v][3] += d[v];
  }
}

// A state of each lane: 2 * r blocks.
template <size_t kLanes>
struct States {
  Row* of[kLanes];
};

template <class Vector, size_t kLanes>
YORE_INLINE Vector Load(const States<kLanes>& states, size_t v, size_t row) {
  if constexpr (kLanesOf<Vector> == 1) {
    return states.of[v][row];
  } else {
    return __builtin_shufflevector(states.of[2 * v][row], states.of[std::min(2 * v + 1, kLanes - 1)][row], 0, 1, 2, 3, 4,
                                   5, 6, 7);
  }
}

template <class Vector, size_t kLanes>
YORE_INLINE void Store(Vector vector, const States<kLanes>& states, size_t v, size_t row) {
  if constexpr (kLanesOf<Vector> == 1) {
    states.of[v][row] = vector;
  } else {
    states.of[2 * v][row] = __builtin_shufflevector(vector, vector, 0, 1, 2, 3);
    if (2 * v + 1 < kLanes) states.of[2 * v + 1][row] = __builtin_shufflevector(vector, vector, 4, 5, 6, 7);
  }
}

// scryptBlockMix of `in`, or of `in` xor `other` where that is wanted. `out` is another piece of memory.
template <class Vector, bool kWithOther, size_t kLanes>
YORE_INLINE void BlockMix(const States<kLanes>& in, const States<kLanes>& other, const States<kLanes>& out, size_t r) {
  constexpr size_t kVectors = kVectorsOf<Vector, kLanes>;
  Vector x[kVectors][kRowsABlock];
  const auto read = [&](size_t v, size_t row) __attribute__((always_inline)) {
    const Vector rows = Load<Vector>(in, v, row);
    return kWithOther ? rows ^ Load<Vector>(other, v, row) : rows;
  };
  const size_t last = (2 * r - 1) * kRowsABlock;
  YORE_EACH_VECTOR {
    YORE_EACH_ROW x[v][row] = read(v, last + row);
  }
  for (size_t i = 0; i < 2 * r; i++) {
    const size_t from = i * kRowsABlock;
    YORE_EACH_VECTOR {
      YORE_EACH_ROW x[v][row] ^= read(v, from + row);
    }
    Salsa8<Vector, kVectors>(x);
    // The even ones come to the front, the odd ones behind them.
    const size_t to = (i / 2 + (i % 2) * r) * kRowsABlock;
    YORE_EACH_VECTOR {
      YORE_EACH_ROW Store(x[v][row], out, v, to + row);
    }
  }
}

// The memory of all lanes: tables of every `stride`-th state, four states to work with, and one of zeros.
template <size_t kLanes>
class Memory {
 public:
  Memory(size_t r, uint32_t cost, uint32_t stride)
      : rows_(2 * r * kRowsABlock),
        states_(cost / stride),
        tables_(kLanes * states_ * rows_),
        work_((4 * kLanes + 1) * rows_) {
    memset(Zeros(), 0, rows_ * sizeof(Row));
  }

  size_t rows() const { return rows_; }
  Row* Kept(size_t lane, uint32_t i) { return tables_.get() + (lane * states_ + i) * rows_; }
  States<kLanes> Work(size_t which) {
    States<kLanes> states;
    YORE_EACH_LANE states.of[lane] = work_.get() + (which * kLanes + lane) * rows_;
    return states;
  }
  Row* Zeros() { return work_.get() + 4 * kLanes * rows_; }

 private:
  const size_t rows_;
  const size_t states_;
  // Apart, because the tables of restic's keys are so many huge pages to the byte.
  Rows tables_;
  Rows work_;
};

// The second half of scryptROMix. What was not kept is worked out again from what was, which takes another lane longer than
// this one each time, and all about as long in the end: each goes on by itself, so that none waits for another (a fourth
// less than going in step, with four lanes and a stride of 4).
template <size_t kLanes>
class LookUps {
 public:
  LookUps(Memory<kLanes>* memory, uint32_t cost, uint32_t stride, const States<kLanes>& state)
      : memory_(memory),
        cost_(cost),
        stride_(stride),
        state_(state),
        next_(memory->Work(1)),
        spare_(memory->Work(2)),
        other_spare_(memory->Work(3)) {
    YORE_EACH_LANE {
      left_[lane] = cost;
      LookUp(lane);
    }
  }

  bool is_done() const { return done_ == kLanes; }
  const States<kLanes>& state() const { return state_; }

  // What is mixed next: the xor of these two. A lane that is done goes along for nothing.
  const States<kLanes>& looked_up() const { return looked_up_; }
  States<kLanes> With() const {
    States<kLanes> with;
    YORE_EACH_LANE with.of[lane] = IsFound(lane) ? state_.of[lane] : memory_->Zeros();
    return with;
  }
  States<kLanes> To() const {
    States<kLanes> to;
    YORE_EACH_LANE to.of[lane] = IsFound(lane) ? next_.of[lane] : spare_.of[lane];
    return to;
  }

  // After that was mixed.
  void Next() {
    YORE_EACH_LANE {
      if (left_[lane] == 0) continue;
      if (IsFound(lane)) {
        std::swap(state_.of[lane], next_.of[lane]);
        left_[lane]--;
        if (left_[lane] > 0)
          LookUp(lane);
        else
          done_++;
      } else {
        missing_[lane]--;
        looked_up_.of[lane] = spare_.of[lane];
        std::swap(spare_.of[lane], other_spare_.of[lane]);
      }
    }
  }

 private:
  bool IsFound(size_t lane) const { return left_[lane] > 0 && missing_[lane] == 0; }

  void LookUp(size_t lane) {
    // The low word of the last block: N is a power of two of at most 2^31.
    const uint32_t j = state_.of[lane][memory_->rows() - kRowsABlock][0] & (cost_ - 1);
    const Row* kept = memory_->Kept(lane, j / stride_);
    for (size_t row = 0; row < memory_->rows(); row += kRowsABlock) __builtin_prefetch(kept + row);
    looked_up_.of[lane] = memory_->Kept(lane, j / stride_);
    missing_[lane] = j % stride_;
  }

  Memory<kLanes>* const memory_;
  const uint32_t cost_;
  const uint32_t stride_;
  States<kLanes> state_, next_, spare_, other_spare_, looked_up_;
  // Of each lane: how often it has to look up still, and how many states lie between what it found and what it wants.
  uint32_t left_[kLanes];
  uint32_t missing_[kLanes];
  size_t done_ = 0;
};

// scryptROMix of the first working state of each lane. Returns where the results are.
template <class Vector, size_t kLanes>
YORE_INLINE States<kLanes> Mix(Memory<kLanes>* memory, size_t r, uint32_t cost, uint32_t stride) {
  States<kLanes> state = memory->Work(0), next = memory->Work(1);
  for (uint32_t i = 0; i < cost; i++) {
    if (i % stride == 0) {
      YORE_EACH_LANE memcpy(memory->Kept(lane, i / stride), state.of[lane], memory->rows() * sizeof(Row));
    }
    BlockMix<Vector, false>(state, state, next, r);
    std::swap(state, next);
  }
  // N is even: the state is where it began.
  LookUps<kLanes> look_ups(memory, cost, stride, state);
  while (!look_ups.is_done()) {
    BlockMix<Vector, true>(look_ups.looked_up(), look_ups.With(), look_ups.To(), r);
    look_ups.Next();
  }
  return look_ups.state();
}

#if defined(__x86_64__)
template <size_t kLanes>
__attribute__((target("avx2"))) States<kLanes> MixInPairs(Memory<kLanes>* memory, size_t r, uint32_t cost,
                                                          uint32_t stride) {
  return Mix<Pair>(memory, r, cost, stride);
}

// With an instruction that rotates: Salsa20 is one long chain of additions, rotations and xors, and a rotation takes
// three instructions without it.
template <size_t kLanes>
__attribute__((target("avx512vl"))) States<kLanes> MixInPairsWithRotate(Memory<kLanes>* memory, size_t r, uint32_t cost,
                                                                        uint32_t stride) {
  return Mix<Pair>(memory, r, cost, stride);
}
#endif

template <size_t kLanes>
States<kLanes> MixFastest(Memory<kLanes>* memory, size_t r, uint32_t cost, uint32_t stride) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vl")) return MixInPairsWithRotate(memory, r, cost, stride);
  if (__builtin_cpu_supports("avx2")) return MixInPairs(memory, r, cost, stride);
#endif
  return Mix<Row>(memory, r, cost, stride);
}

// Word i of a row of diagonals is word 5 * i of the block.
size_t Diagonal(size_t word) { return word * 5 % kWordsABlock; }

void LoadState(const uint8_t* from, size_t blocks, Row* rows) {
  for (size_t i = 0; i < blocks; i++, from += kBlockBytes) {
    for (size_t word = 0; word < kWordsABlock; word++) {
      const uint8_t* bytes = from + Diagonal(word) * 4;
      rows[i * kRowsABlock + word / 4][word % 4] = static_cast<uint32_t>(bytes[0]) |
                                                   static_cast<uint32_t>(bytes[1]) << 8 |
                                                   static_cast<uint32_t>(bytes[2]) << 16 |
                                                   static_cast<uint32_t>(bytes[3]) << 24;
    }
  }
}

void StoreState(const Row* rows, size_t blocks, uint8_t* to) {
  for (size_t i = 0; i < blocks; i++, to += kBlockBytes) {
    for (size_t word = 0; word < kWordsABlock; word++) {
      const uint32_t value = rows[i * kRowsABlock + word / 4][word % 4];
      uint8_t* bytes = to + Diagonal(word) * 4;
      for (size_t byte = 0; byte < 4; byte++) bytes[byte] = static_cast<uint8_t>(value >> (8 * byte));
    }
  }
}

template <size_t kLanes>
void MixLanes(uint8_t* blocks, size_t r, uint32_t cost, uint32_t stride) {
  Memory<kLanes> memory(r, cost, stride);
  const States<kLanes> first = memory.Work(0);
  YORE_EACH_LANE LoadState(blocks + lane * 128 * r, 2 * r, first.of[lane]);
  const States<kLanes> mixed = MixFastest(&memory, r, cost, stride);
  YORE_EACH_LANE StoreState(mixed.of[lane], 2 * r, blocks + lane * 128 * r);
}

}  // namespace

void ScryptMix(uint8_t* blocks, size_t lanes, size_t r, uint32_t cost, uint32_t stride) {
  switch (lanes) {
    case 1: return MixLanes<1>(blocks, r, cost, stride);
    case 2: return MixLanes<2>(blocks, r, cost, stride);
    case 3: return MixLanes<3>(blocks, r, cost, stride);
    case 4: return MixLanes<4>(blocks, r, cost, stride);
    default: throw std::invalid_argument("1 to 4 lanes");
  }
}

}  // namespace yore
