#include "seal.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "compression.h"

namespace yore {

size_t PlainSize(Bytes sealed, uint32_t uncompressed_length) {
  if (uncompressed_length > 0) return uncompressed_length;
  return sealed.size < kSealOverhead ? 0 : sealed.size - kSealOverhead;
}

namespace {

bool IsZero(const uint8_t* bytes, size_t size) {
  return std::all_of(bytes, bytes + size, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

namespace {

// What is encrypted: the plaintext as it is, or a frame, made in the room where there is enough of it, else in the scratch
// of the thread.
Bytes ContentOf(Bytes plaintext, int32_t level, Bytes room) {
  thread_local Scratch scratch;
  if (level == kStored || plaintext.size == 0) return plaintext;
  const size_t bound = CompressBound(plaintext.size);
  Bytes content;
  content.data = room.size >= bound ? room.data : scratch.Reserve(bound);
  content.size = CompressInto(plaintext.data, plaintext.size, level, content.data);
  return content;
}

void Encrypt(const MasterKey& key, Bytes content, uint8_t* iv) {
  uint8_t* ciphertext = iv + kIvSize;
  do {
    RandomBytes(iv, kIvSize);
  } while (IsZero(iv, kIvSize));
  AesCtr(key.encrypt, iv, content.data, content.size, ciphertext);
  Poly1305Aes(key.mac_k, key.mac_r, iv, ciphertext, content.size, ciphertext + content.size);
}

// What is decrypted at a time where all of it is not wanted in one piece.
constexpr size_t kPieceBytes = size_t{64} << 10;

uint8_t* PieceOfThread() {
  thread_local uint8_t piece[kPieceBytes];
  return piece;
}

// Hands out what is encrypted piece by piece, as long as `take` returns true.
template <typename Take>
void DecryptInPieces(const MasterKey& key, Bytes sealed, Take take) {
  uint8_t* const piece = PieceOfThread();
  const size_t size = sealed.size - kSealOverhead;
  BeginAesCtr(key.encrypt, sealed.data);
  for (size_t at = 0; at < size; at += kPieceBytes) {
    const size_t length = std::min(size - at, kPieceBytes);
    ContinueAesCtr(sealed.data + kIvSize + at, length, piece);
    if (!take(piece, length, at)) return;
  }
}

Decompression DecryptAndDecompress(const MasterKey& key, Bytes sealed, uint8_t* plaintext, size_t plain_size) {
  const size_t size = sealed.size - kSealOverhead;
  if (size <= kPieceBytes) {
    uint8_t* const frames = PieceOfThread();
    AesCtr(key.encrypt, sealed.data, sealed.data + kIvSize, size, frames);
    return DecompressExactly(frames, size, plaintext, plain_size);
  }
  FrameDecoder decoder(plaintext, plain_size);
  DecryptInPieces(key, sealed, [&](const uint8_t* piece, size_t length, size_t) { return decoder.Feed(piece, length); });
  return decoder.Finish();
}

// Writes PlainSize bytes to `plaintext`, which mean nothing unless kNone is returned.
UnsealFailure Open(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, uint8_t* plaintext) {
  if (uncompressed_length == 0) {
    AesCtr(key.encrypt, sealed.data, sealed.data + kIvSize, sealed.size - kSealOverhead, plaintext);
    return UnsealFailure::kNone;
  }
  switch (DecryptAndDecompress(key, sealed, plaintext, uncompressed_length)) {
    case Decompression::kOk:
      return UnsealFailure::kNone;
    case Decompression::kWrongLength:
      return UnsealFailure::kLength;
    default:
      return UnsealFailure::kDecompress;
  }
}

UnsealFailure Authenticate(const MasterKey& key, Bytes sealed) {
  if (sealed.size < kSealOverhead) return UnsealFailure::kTooShort;
  const uint8_t* iv = sealed.data;
  const uint8_t* ciphertext = iv + kIvSize;
  const size_t size = sealed.size - kSealOverhead;

  // Nothing ever was sealed with it: restic refuses an all-zero IV too.
  if (IsZero(iv, kIvSize)) return UnsealFailure::kMac;
  uint8_t mac[kMacSize];
  Poly1305Aes(key.mac_k, key.mac_r, iv, ciphertext, size, mac);
  return EqualInConstantTime(mac, ciphertext + size, kMacSize) ? UnsealFailure::kNone : UnsealFailure::kMac;
}

// Piece by piece, each decrypted, decompressed and compared while it is in the cache: a second plaintext beside the first
// would be as much memory for every thread, and memory that is touched anew costs more than opening.
bool OpensAs(const MasterKey& key, Bytes sealed, Bytes plaintext, bool compressed) {
  if (Authenticate(key, sealed) != UnsealFailure::kNone) return false;
  if (!compressed && sealed.size - kSealOverhead != plaintext.size) return false;
  FrameComparison comparison(plaintext);
  bool is_same = true;
  DecryptInPieces(key, sealed, [&](const uint8_t* piece, size_t length, size_t at) {
    is_same = compressed ? comparison.Feed(piece, length) : memcmp(piece, plaintext.data + at, length) == 0;
    return is_same;
  });
  return is_same && (!compressed || comparison.IsComplete());
}

// As Open, and compares the hash with `id` unless that is null.
UnsealFailure OpenAs(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                     uint8_t* plaintext) {
  const UnsealFailure failure = Open(key, sealed, uncompressed_length, plaintext);
  if (failure != UnsealFailure::kNone || id == nullptr) return failure;
  uint8_t hash[kHashSize];
  Sha256(plaintext, PlainSize(sealed, uncompressed_length), hash);
  return memcmp(hash, id, kHashSize) == 0 ? UnsealFailure::kNone : UnsealFailure::kHash;
}

}  // namespace

bool Seal(const MasterKey& key, Bytes plaintext, int32_t level, bool verify, OwnedBytes* sealed) {
  const Bytes content = ContentOf(plaintext, level, {});
  OwnedBytes result(content.size + kSealOverhead);
  Encrypt(key, content, result.data.get());
  if (verify && !OpensAs(key, {result.data.get(), result.size}, plaintext, content.data != plaintext.data))
    return false;
  *sealed = std::move(result);
  return true;
}

size_t SealInto(const MasterKey& key, Bytes plaintext, int32_t level, bool verify, Bytes room) {
  if (room.size < kSealOverhead) throw std::length_error("no room for what was sealed");
  // Where it is encrypted in place.
  const Bytes content = ContentOf(plaintext, level, {room.data + kIvSize, room.size - kSealOverhead});
  const size_t size = content.size + kSealOverhead;
  if (size > room.size) throw std::length_error("no room for what was sealed");
  Encrypt(key, content, room.data);
  if (verify && !OpensAs(key, {room.data, size}, plaintext, content.data != plaintext.data)) return 0;
  return size;
}

UnsealFailure Unseal(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                     OwnedBytes* plaintext) {
  UnsealFailure failure = Authenticate(key, sealed);
  if (failure != UnsealFailure::kNone) return failure;
  OwnedBytes result;
  try {
    result = OwnedBytes(PlainSize(sealed, uncompressed_length));
  } catch (const std::bad_alloc&) {
    // It claims to be larger than the memory: no reason to refuse what is unsealed together with it.
    return UnsealFailure::kLength;
  }
  failure = OpenAs(key, sealed, uncompressed_length, id, result.data.get());
  if (failure == UnsealFailure::kNone) *plaintext = std::move(result);
  return failure;
}

UnsealFailure UnsealInto(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                         uint8_t* plaintext) {
  const UnsealFailure failure = Authenticate(key, sealed);
  return failure == UnsealFailure::kNone ? OpenAs(key, sealed, uncompressed_length, id, plaintext) : failure;
}

UnsealFailure UnsealToScratch(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                              Scratch* scratch, Bytes* plaintext) {
  // Authentic before memory is taken: what a damaged index claims may be gigabytes.
  UnsealFailure failure = Authenticate(key, sealed);
  if (failure != UnsealFailure::kNone) return failure;
  plaintext->size = PlainSize(sealed, uncompressed_length);
  plaintext->data = scratch->Reserve(plaintext->size);
  failure = OpenAs(key, sealed, uncompressed_length, id, plaintext->data);
  if (failure != UnsealFailure::kNone) *plaintext = Bytes();
  return failure;
}

}  // namespace yore
