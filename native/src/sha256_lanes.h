// SHA-256 of several pieces of memory. A round of SHA-256 waits for the round before, so that one message alone leaves half
// of the processor's SHA instructions unused: two at a time take little longer than one (AMD EPYC, MB/s: one message 1,790,
// two 3,290, three 3,650; in two threads at once 3,300, 4,950, 4,700). Processors without such instructions hash one after the
// other, with OpenSSL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace yore {

struct HashInput {
  const uint8_t* data;
  size_t size;
  // Where its hash goes, kHashSize bytes.
  uint8_t* hash;
};

void Sha256All(const HashInput* inputs, size_t count);

// One long message that comes in pieces. Not by two threads at a time.
class Sha256Message {
 public:
  Sha256Message();
  ~Sha256Message();
  // Of what came so far.
  Sha256Message(const Sha256Message& other);
  Sha256Message& operator=(Sha256Message&& other);
  // kHashSize bytes. To be called once, behind the last piece.
  void Finish(uint8_t* hash);

 private:
  friend class Sha256Lanes;
  struct State;
  std::unique_ptr<State> state_;
};

// Hashes in portions, beside the next piece of a long message, which takes the lane that the others leave free.
class Sha256Lanes {
 public:
  Sha256Lanes(Sha256Message* message, const uint8_t* piece, size_t size);
  ~Sha256Lanes();
  Sha256Lanes(const Sha256Lanes&) = delete;
  Sha256Lanes& operator=(const Sha256Lanes&) = delete;
  void Hash(const HashInput* inputs, size_t count);
  // Hashes the rest of the piece. To be called once, at the end.
  void Finish();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace yore
