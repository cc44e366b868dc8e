#include "seal.h"

#include <algorithm>

#include "compression.h"

namespace yore {

namespace {

// Memory between two steps, kept by its thread so that it is not mapped anew for each blob. What was needed for an
// exceptionally large one is given back.
class Scratch {
 public:
  uint8_t* Reserve(size_t size) {
    if (size > memory_.size || (memory_.size > kKeepBytes && size <= kKeepBytes))
      memory_ = OwnedBytes(std::max(size, kStartBytes));
    return memory_.data.get();
  }

 private:
  static constexpr size_t kStartBytes = 64 * 1024;
  static constexpr size_t kKeepBytes = 16 * 1024 * 1024;
  OwnedBytes memory_;
};

bool IsZero(const uint8_t* bytes, size_t size) {
  return std::all_of(bytes, bytes + size, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

bool Seal(const MasterKey& key, Bytes plaintext, int32_t level, bool verify, OwnedBytes* sealed) {
  thread_local Scratch scratch;
  const bool compressed = level != kStored && plaintext.size > 0;
  Bytes content = plaintext;
  if (compressed) {
    content.data = scratch.Reserve(CompressBound(plaintext.size));
    content.size = CompressInto(plaintext.data, plaintext.size, level, content.data);
  }

  OwnedBytes result(content.size + kSealOverhead);
  uint8_t* iv = result.data.get();
  uint8_t* ciphertext = iv + kIvSize;
  do {
    RandomBytes(iv, kIvSize);
  } while (IsZero(iv, kIvSize));
  AesCtr(key.encrypt, iv, content.data, content.size, ciphertext);
  Poly1305Aes(key.mac_k, key.mac_r, iv, ciphertext, content.size, ciphertext + content.size);

  if (verify) {
    OwnedBytes again;
    const uint32_t length = compressed ? static_cast<uint32_t>(plaintext.size) : 0;
    const UnsealFailure failure = Unseal(key, {result.data.get(), result.size}, length, nullptr, &again);
    if (failure != UnsealFailure::kNone || again.size != plaintext.size) return false;
    if (plaintext.size > 0 && memcmp(again.data.get(), plaintext.data, plaintext.size) != 0) return false;
  }
  *sealed = std::move(result);
  return true;
}

UnsealFailure Unseal(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                     OwnedBytes* plaintext) {
  // Not that of Seal, which calls this while its own is in use.
  thread_local Scratch scratch;
  if (sealed.size < kSealOverhead) return UnsealFailure::kTooShort;
  const uint8_t* iv = sealed.data;
  const uint8_t* ciphertext = iv + kIvSize;
  const size_t size = sealed.size - kSealOverhead;

  // Nothing ever was sealed with it: restic refuses an all-zero IV too.
  if (IsZero(iv, kIvSize)) return UnsealFailure::kMac;
  uint8_t mac[kMacSize];
  Poly1305Aes(key.mac_k, key.mac_r, iv, ciphertext, size, mac);
  if (!EqualInConstantTime(mac, ciphertext + size, kMacSize)) return UnsealFailure::kMac;

  OwnedBytes result(uncompressed_length > 0 ? uncompressed_length : size);
  if (uncompressed_length > 0) {
    uint8_t* frames = scratch.Reserve(size);
    AesCtr(key.encrypt, iv, ciphertext, size, frames);
    switch (DecompressExactly(frames, size, result.data.get(), result.size)) {
      case Decompression::kOk:
        break;
      case Decompression::kDamaged:
        return UnsealFailure::kDecompress;
      case Decompression::kWrongLength:
        return UnsealFailure::kLength;
    }
  } else {
    AesCtr(key.encrypt, iv, ciphertext, size, result.data.get());
  }

  if (id != nullptr) {
    uint8_t hash[kHashSize];
    Sha256(result.data.get(), result.size, hash);
    if (memcmp(hash, id, kHashSize) != 0) return UnsealFailure::kHash;
  }
  *plaintext = std::move(result);
  return UnsealFailure::kNone;
}

}  // namespace yore
