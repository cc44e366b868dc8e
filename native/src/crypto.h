// SHA-256, AES and Poly1305-AES from the OpenSSL inside Node.js (its exported symbols; no library of our own).
// Everything here may be called from any thread: algorithms are fetched once, contexts belong to their thread.
// What OpenSSL refuses is thrown as std::runtime_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace yore {

constexpr size_t kHashSize = 32;
constexpr size_t kIvSize = 16;
constexpr size_t kMacSize = 16;

struct MasterKey {
  uint8_t encrypt[32];
  uint8_t mac_k[16];
  uint8_t mac_r[16];
  ~MasterKey();
};

enum class Poly1305Source { kFastest, kOwn };

void Sha256(const uint8_t* data, size_t size, uint8_t hash[kHashSize]);

// Of pieces one behind the other.
struct Piece {
  const uint8_t* data;
  size_t size;
};
void Sha256(const std::vector<Piece>& pieces, uint8_t hash[kHashSize]);

// Of what comes bit by bit. Not by two threads at a time.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  // Of what came so far.
  Sha256Stream(const Sha256Stream& other);
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void Update(const uint8_t* data, size_t size);
  // Ends it: no Update afterwards.
  void Finish(uint8_t hash[kHashSize]);

 private:
  // OpenSSL's EVP_MD_CTX.
  void* context_;
};

// AES-256-CTR, either way; the IV is the initial value of the 128-bit big-endian counter. In place or not.
void AesCtr(const uint8_t key[32], const uint8_t iv[kIvSize], const uint8_t* in, size_t size, uint8_t* out);

// The same piece by piece, with the context of the thread: nothing else may use AES-256-CTR in between.
void BeginAesCtr(const uint8_t key[32], const uint8_t iv[kIvSize]);
void ContinueAesCtr(const uint8_t* in, size_t size, uint8_t* out);

// Poly1305 under the one-time key r | AES-128(k, nonce).
void Poly1305Aes(const uint8_t k[16], const uint8_t r[16], const uint8_t nonce[kIvSize], const uint8_t* data,
                 size_t size, uint8_t mac[kMacSize], Poly1305Source source = Poly1305Source::kFastest);

void RandomBytes(uint8_t* out, size_t size);

// Takes the same time wherever they differ.
bool EqualInConstantTime(const uint8_t* a, const uint8_t* b, size_t size);

}  // namespace yore
