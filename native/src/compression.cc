#include "compression.h"

// For ZSTD_findDecompressedSize. zstd is linked statically and its version is pinned, so it cannot change under us.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

namespace yore {

namespace {

constexpr int kWindowLog = 19;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Kept for the life of the thread: a new context for each blob costs twice the time at 16 KiB.
ZSTD_CCtx* CompressContext() {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (context == nullptr) throw std::bad_alloc();
  return context.get();
}

ZSTD_DCtx* DecompressContext() {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  if (context == nullptr) throw std::bad_alloc();
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  return context.get();
}

void SetParameter(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  const size_t result = ZSTD_CCtx_setParameter(context, parameter, value);
  if (ZSTD_isError(result)) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
}

// For frames that do not say how long they are: grows with what really comes out, never with what a header claims.
Decompression DecompressStreaming(const uint8_t* frames, size_t frames_size, size_t max_size, OwnedBytes* out) {
  ZSTD_DCtx* context = DecompressContext();
  ZSTD_inBuffer in = {frames, frames_size, 0};
  size_t capacity = std::min(max_size, std::max<size_t>(ZSTD_DStreamOutSize(), frames_size * 4));
  OwnedBytes result(capacity);
  size_t filled = 0;
  for (;;) {
    ZSTD_outBuffer room = {result.data.get(), capacity, filled};
    const size_t left = ZSTD_decompressStream(context, &room, &in);
    if (ZSTD_isError(left)) return Decompression::kDamaged;
    filled = room.pos;
    // 0: a frame is whole and written out. Frames that follow go on with the next call.
    if (left == 0 && in.pos == in.size) break;
    if (filled < capacity) {
      if (in.pos == in.size) return Decompression::kDamaged;
      continue;
    }
    if (capacity == max_size) {
      // Full. One byte more of room tells a frame that just ends here from one that goes on.
      uint8_t probe;
      ZSTD_outBuffer more = {&probe, 1, 0};
      size_t rest;
      do {
        rest = ZSTD_decompressStream(context, &more, &in);
        if (ZSTD_isError(rest)) return Decompression::kDamaged;
        if (more.pos > 0) return Decompression::kWrongLength;
      } while (in.pos < in.size);
      if (rest != 0) return Decompression::kDamaged;
      break;
    }
    const size_t grown = capacity > max_size / 2 ? max_size : capacity * 2;
    uint8_t* moved = static_cast<uint8_t*>(realloc(result.data.get(), grown));
    if (moved == nullptr) throw std::bad_alloc();
    result.data.release();
    result.data.reset(moved);
    capacity = grown;
  }
  // An output that much smaller than its memory would waste it for as long as it is kept.
  if (uint8_t* fitted = static_cast<uint8_t*>(realloc(result.data.get(), std::max<size_t>(filled, 1)))) {
    result.data.release();
    result.data.reset(fitted);
  }
  result.size = filled;
  *out = std::move(result);
  return Decompression::kOk;
}

}  // namespace

size_t CompressBound(size_t size) { return ZSTD_compressBound(size); }

size_t CompressInto(const uint8_t* data, size_t size, int level, uint8_t* out) {
  ZSTD_CCtx* context = CompressContext();
  SetParameter(context, ZSTD_c_compressionLevel, level);
  SetParameter(context, ZSTD_c_windowLog, kWindowLog);
  SetParameter(context, ZSTD_c_checksumFlag, 0);
  SetParameter(context, ZSTD_c_contentSizeFlag, 1);
  const size_t written = ZSTD_compress2(context, out, CompressBound(size), data, size);
  if (ZSTD_isError(written)) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(written));
  return written;
}

Decompression DecompressExactly(const uint8_t* frames, size_t frames_size, uint8_t* out, size_t size) {
  if (frames_size == 0) return Decompression::kDamaged;
  const size_t written = ZSTD_decompressDCtx(DecompressContext(), out, size, frames, frames_size);
  if (ZSTD_isError(written)) {
    return ZSTD_getErrorCode(written) == ZSTD_error_dstSize_tooSmall ? Decompression::kWrongLength
                                                                     : Decompression::kDamaged;
  }
  return written == size ? Decompression::kOk : Decompression::kWrongLength;
}

Decompression DecompressBounded(const uint8_t* frames, size_t frames_size, size_t max_size, OwnedBytes* out) {
  if (frames_size == 0) return Decompression::kDamaged;
  const unsigned long long claimed = ZSTD_findDecompressedSize(frames, frames_size);
  if (claimed == ZSTD_CONTENTSIZE_ERROR) return Decompression::kDamaged;
  if (claimed == ZSTD_CONTENTSIZE_UNKNOWN) return DecompressStreaming(frames, frames_size, max_size, out);
  if (claimed > max_size) return Decompression::kWrongLength;
  OwnedBytes result(static_cast<size_t>(claimed));
  const Decompression outcome = DecompressExactly(frames, frames_size, result.data.get(), result.size);
  if (outcome == Decompression::kOk) *out = std::move(result);
  return outcome;
}

int MinCompressionLevel() { return ZSTD_minCLevel(); }
int MaxCompressionLevel() { return ZSTD_maxCLevel(); }

}  // namespace yore
