#include "compression.h"

// For ZSTD_decompressBound. zstd is linked statically and its version is pinned, so it cannot change under us.
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
  return context.get();
}

void SetParameter(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  const size_t result = ZSTD_CCtx_setParameter(context, parameter, value);
  if (ZSTD_isError(result)) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
}

void SetParameter(ZSTD_DCtx* context, ZSTD_dParameter parameter, int value) {
  const size_t result = ZSTD_DCtx_setParameter(context, parameter, value);
  if (ZSTD_isError(result)) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
}

Decompression FailureOf(size_t error) {
  switch (ZSTD_getErrorCode(error)) {
    case ZSTD_error_dstSize_tooSmall:
    case ZSTD_error_noForwardProgress_destFull:
      return Decompression::kWrongLength;
    default:
      return Decompression::kDamaged;
  }
}

// At most `room` bytes.
Decompression DecompressInto(const uint8_t* frames, size_t frames_size, uint8_t* out, size_t room, size_t* written) {
  if (frames_size == 0) return Decompression::kDamaged;
  const size_t result = ZSTD_decompressDCtx(DecompressContext(), out, room, frames, frames_size);
  if (!ZSTD_isError(result)) {
    *written = result;
    return Decompression::kOk;
  }
  return FailureOf(result);
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
  size_t written = 0;
  const Decompression outcome = DecompressInto(frames, frames_size, out, size, &written);
  return outcome == Decompression::kOk && written != size ? Decompression::kWrongLength : outcome;
}

uint64_t DecompressBound(const uint8_t* frames, size_t frames_size) {
  const unsigned long long bound = ZSTD_decompressBound(frames, frames_size);
  return bound == ZSTD_CONTENTSIZE_ERROR ? 0 : bound;
}

// In one go even where a frame does not say how long it is: streaming would take a window as large as the header
// claims, and checks less (a frame that gives less than it promised passes).
Decompression DecompressBounded(const uint8_t* frames, size_t frames_size, size_t max_size, OwnedBytes* out) {
  // What the frames say, or what their blocks can give at most.
  const unsigned long long bound = ZSTD_decompressBound(frames, frames_size);
  if (bound == ZSTD_CONTENTSIZE_ERROR) return Decompression::kDamaged;
  // Said beforehand, it takes no memory.
  const unsigned long long promised = ZSTD_findDecompressedSize(frames, frames_size);
  if (promised < ZSTD_CONTENTSIZE_ERROR && promised > max_size) return Decompression::kWrongLength;
  OwnedBytes result(static_cast<size_t>(std::min<unsigned long long>(bound, max_size)));
  size_t written = 0;
  const Decompression outcome =
      DecompressInto(frames, frames_size, result.data.get(), result.size, &written);
  if (outcome != Decompression::kOk) return outcome;
  result.Shrink(written);
  *out = std::move(result);
  return Decompression::kOk;
}

FrameDecoder::FrameDecoder(uint8_t* out, size_t size) : out_(out), size_(size) {
  ZSTD_DCtx* const context = DecompressContext();
  ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters);
  // The output is the window: none is allocated, whatever a frame claims to need.
  SetParameter(context, ZSTD_d_stableOutBuffer, 1);
  SetParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOWLOG_MAX);
}

FrameDecoder::~FrameDecoder() { ZSTD_DCtx_reset(DecompressContext(), ZSTD_reset_session_and_parameters); }

bool FrameDecoder::Feed(const uint8_t* piece, size_t size) {
  ZSTD_inBuffer in = {piece, size, 0};
  ZSTD_outBuffer out = {out_, size_, written_};
  while (in.pos < in.size) {
    left_ = ZSTD_decompressStream(DecompressContext(), &out, &in);
    if (ZSTD_isError(left_)) return false;
  }
  written_ = out.pos;
  return true;
}

Decompression FrameDecoder::Finish() const {
  if (ZSTD_isError(left_)) return FailureOf(left_);
  if (left_ > 0) return Decompression::kDamaged;
  return written_ == size_ ? Decompression::kOk : Decompression::kWrongLength;
}

FrameComparison::FrameComparison(Bytes wanted) : wanted_(wanted) {
  ZSTD_DCtx_reset(DecompressContext(), ZSTD_reset_session_only);
}

bool FrameComparison::Feed(const uint8_t* piece, size_t size) {
  // Small enough to be compared while it is in the cache.
  thread_local uint8_t plain[64 * 1024];
  ZSTD_inBuffer in = {piece, size, 0};
  for (;;) {
    if (is_ended_) return in.pos == in.size;
    ZSTD_outBuffer out = {plain, sizeof plain, 0};
    const size_t left = ZSTD_decompressStream(DecompressContext(), &out, &in);
    if (ZSTD_isError(left) || out.pos > wanted_.size - compared_) return false;
    if (out.pos > 0 && memcmp(plain, wanted_.data + compared_, out.pos) != 0) return false;
    compared_ += out.pos;
    is_ended_ = left == 0;
    // With room left in the output, all that the input could give has come.
    if (!is_ended_ && in.pos == in.size && out.pos < out.size) return true;
  }
}

int MinCompressionLevel() { return ZSTD_minCLevel(); }
int MaxCompressionLevel() { return ZSTD_maxCLevel(); }

}  // namespace yore
