// Sealed things: IV (16) | ciphertext | MAC (16). restic's envelope.
#pragma once

#include "crypto.h"
#include "napi_helpers.h"
#include "scratch.h"

namespace yore {

constexpr size_t kSealOverhead = kIvSize + kMacSize;

// Not a compression level: the plaintext is stored as it is.
constexpr int32_t kStored = INT32_MIN;

// Seals with a fresh random IV. An empty plaintext is never compressed. With `verify` the result is unsealed again and
// compared; false means that it did not come out the same.
bool Seal(const MasterKey& key, Bytes plaintext, int32_t level, bool verify, OwnedBytes* sealed);

// The same into memory that is there: returns how much of it was written, 0 where the verification failed. Throws
// std::length_error when it does not fit.
size_t SealInto(const MasterKey& key, Bytes plaintext, int32_t level, bool verify, Bytes room);

// The values are the positions in UNSEAL_FAILURES of src/native/engine-functions.ts.
enum class UnsealFailure : uint32_t { kTooShort, kMac, kDecompress, kLength, kHash, kNone };

// `id` may be null. Nothing is written to `plaintext` unless kNone is returned.
UnsealFailure Unseal(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                     OwnedBytes* plaintext);

// How long the plaintext of something sealed is, or claims to be. 0 with less than an envelope.
size_t PlainSize(Bytes sealed, uint32_t uncompressed_length);

// As Unseal, into PlainSize bytes of memory. What was written there must not be handed out unless kNone is returned.
UnsealFailure UnsealInto(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                         uint8_t* plaintext);

// As Unseal, into memory that is used again: `plaintext` is valid until the next use of the scratch.
UnsealFailure UnsealToScratch(const MasterKey& key, Bytes sealed, uint32_t uncompressed_length, const uint8_t* id,
                              Scratch* scratch, Bytes* plaintext);

}  // namespace yore
