// zstd as restic uses it: frames without checksum (the MAC and the hash are checksum enough), with content size, window
// of 512 KiB. Any thread; contexts belong to their thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "napi_helpers.h"

namespace yore {

// Upper bound of what CompressInto writes.
size_t CompressBound(size_t size);

// Writes one frame into `out`, which has room for CompressBound(size), and returns its length.
size_t CompressInto(const uint8_t* data, size_t size, int level, uint8_t* out);

enum class Decompression { kOk, kDamaged, kWrongLength };

// One or more whole frames that must give exactly `size` bytes.
Decompression DecompressExactly(const uint8_t* frames, size_t frames_size, uint8_t* out, size_t size);

// What frames say they give, or what their blocks can give at most; 0 for what is damaged.
uint64_t DecompressBound(const uint8_t* frames, size_t frames_size);

// One or more whole frames that give at most `max_size` bytes; frames need not say how long they are.
Decompression DecompressBounded(const uint8_t* frames, size_t frames_size, size_t max_size, OwnedBytes* out);

// The same as DecompressExactly, of frames that come in pieces: each is decompressed while it is in the cache of the
// processor, and nobody needs memory for all of them. With the context of the thread, so that there can be one at a time.
class FrameDecoder {
 public:
  FrameDecoder(uint8_t* out, size_t size);
  ~FrameDecoder();
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;
  // False as soon as it is known that they do not.
  bool Feed(const uint8_t* piece, size_t size);
  // To be called behind the last piece, or when one was refused.
  Decompression Finish() const;

 private:
  uint8_t* const out_;
  const size_t size_;
  size_t written_ = 0;
  // What zstd says is left of the frame, or its error.
  size_t left_ = 1;
};

// Whether one frame, which comes in pieces, gives exactly the bytes that are wanted. Takes little memory, however long they
// are: the context of the thread, so that there can be one at a time.
class FrameComparison {
 public:
  explicit FrameComparison(Bytes wanted);
  // False as soon as it is known that it does not.
  bool Feed(const uint8_t* piece, size_t size);
  bool IsComplete() const { return is_ended_ && compared_ == wanted_.size; }

 private:
  const Bytes wanted_;
  size_t compared_ = 0;
  bool is_ended_ = false;
};

// The levels that zstd knows.
int MinCompressionLevel();
int MaxCompressionLevel();

}  // namespace yore
