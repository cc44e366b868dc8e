// restic's content-defined chunking: a Rabin fingerprint of the last 64 bytes decides where a chunk ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace yore {

// Tables only: one serves any number of files and threads.
class Chunker {
 public:
  static constexpr size_t kWindow = 64;

  // `polynomial` has degree 53; a chunk has min_size..max_size bytes (the last may have fewer), min_size >= 64; a cut
  // falls where the low `average_bits` bits of the fingerprint are 0.
  Chunker(uint64_t polynomial, size_t min_size, size_t max_size, unsigned average_bits);

  // Lengths of the chunks from the start of `data` on. `is_last`: the rest is a chunk too. `scanned`: so many bytes of
  // the first chunk are known to hold no cut.
  std::vector<uint32_t> Cut(const uint8_t* data, size_t size, bool is_last, size_t scanned) const;

 private:
  size_t FindCut(const uint8_t* chunk, size_t from, size_t to) const;
  size_t ScanLanes(const uint8_t* chunk, size_t from) const;
  size_t ScanOne(const uint8_t* chunk, size_t from, size_t to) const;
  uint64_t FingerprintAt(const uint8_t* end) const;
  uint64_t Roll(uint64_t fingerprint, const uint8_t* next) const;

  const size_t min_size_;
  const size_t max_size_;
  const uint64_t mask_;
  // What the 8 bits that leave at the top are worth below degree 53, and those bits themselves, to clear them.
  uint64_t reduce_[256];
  // b * x^(8 * 64) mod P: what a byte is worth when it leaves the window, after the shift.
  uint64_t leave_[256];
};

}  // namespace yore
