#include "crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "poly1305.h"

namespace yore {

namespace {

// After OpenSSL's Poly1305 in AVX-512, instructions without AVX (SHA-256, AES, copies) run at half their speed on Zen 5,
// although it ends with VZEROALL. With VZEROUPPER behind it, packs are verified at 1.5 GB/s instead of 1.0.
#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx"))) void ClearUpperHalvesByAvx() { _mm256_zeroupper(); }

const bool kHasAvx = __builtin_cpu_supports("avx");

void ClearUpperHalves() {
  if (kHasAvx) ClearUpperHalvesByAvx();
}
#else
void ClearUpperHalves() {}
#endif

// OpenSSL counts in int.
constexpr size_t kMaxUpdate = size_t{1} << 30;

[[noreturn]] void Fail(const char* what) {
  // Left there, the entry would turn up in the next error that Node.js reports.
  ERR_clear_error();
  throw std::runtime_error(std::string("OpenSSL failed: ") + what);
}

void Check(int ok, const char* what) {
  if (ok != 1) Fail(what);
}

// Fetching takes locks and look-ups by name: once for the process. Never freed: pool threads use it to the end.
struct Algorithms {
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_CIPHER* aes_256_ctr = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  EVP_CIPHER* aes_128_ecb = EVP_CIPHER_fetch(nullptr, "AES-128-ECB", nullptr);
  // Absent in some builds: then poly1305.cc serves.
  EVP_MAC* poly1305 = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);

  static const Algorithms& Get() {
    static const Algorithms* algorithms = new Algorithms();
    if (algorithms->sha256 == nullptr || algorithms->aes_256_ctr == nullptr || algorithms->aes_128_ecb == nullptr)
      Fail("no SHA-256 or AES");
    if (algorithms->poly1305 == nullptr) ERR_clear_error();
    return *algorithms;
  }
};

template <typename T, void (*Free)(T*)>
struct FreeWith {
  void operator()(T* object) const { Free(object); }
};
template <typename T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, FreeWith<T, Free>>;

// One set for each thread: contexts must not be shared, and making one costs more than hashing a small blob.
struct Contexts {
  Owned<EVP_MD_CTX, EVP_MD_CTX_free> hash{EVP_MD_CTX_new()};
  Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> ctr{EVP_CIPHER_CTX_new()};
  Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> ecb{EVP_CIPHER_CTX_new()};
  Owned<EVP_MAC_CTX, EVP_MAC_CTX_free> mac{
      Algorithms::Get().poly1305 != nullptr ? EVP_MAC_CTX_new(Algorithms::Get().poly1305) : nullptr};

  static Contexts& Get() {
    thread_local Contexts contexts;
    if (contexts.hash == nullptr || contexts.ctr == nullptr || contexts.ecb == nullptr) throw std::bad_alloc();
    return contexts;
  }
};

}  // namespace

MasterKey::~MasterKey() { OPENSSL_cleanse(this, sizeof(*this)); }

void Sha256(const uint8_t* data, size_t size, uint8_t hash[kHashSize]) {
  Sha256({{data, size}}, hash);
}

void Sha256(const std::vector<Piece>& pieces, uint8_t hash[kHashSize]) {
  const Algorithms& algorithms = Algorithms::Get();
  EVP_MD_CTX* context = Contexts::Get().hash.get();
  Check(EVP_DigestInit_ex2(context, algorithms.sha256, nullptr), "SHA-256 init");
  for (const Piece& piece : pieces) Check(EVP_DigestUpdate(context, piece.data, piece.size), "SHA-256 update");
  Check(EVP_DigestFinal_ex(context, hash, nullptr), "SHA-256 final");
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  auto* context = static_cast<EVP_MD_CTX*>(context_);
  if (EVP_DigestInit_ex2(context, Algorithms::Get().sha256, nullptr) == 1) return;
  EVP_MD_CTX_free(context);
  Fail("SHA-256 init");
}

Sha256Stream::Sha256Stream(const Sha256Stream& other) : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr) throw std::bad_alloc();
  auto* context = static_cast<EVP_MD_CTX*>(context_);
  if (EVP_MD_CTX_copy_ex(context, static_cast<const EVP_MD_CTX*>(other.context_)) == 1) return;
  EVP_MD_CTX_free(context);
  Fail("SHA-256 copy");
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Stream::Update(const uint8_t* data, size_t size) {
  Check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data, size), "SHA-256 update");
}

void Sha256Stream::Finish(uint8_t hash[kHashSize]) {
  Check(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), hash, nullptr), "SHA-256 final");
}

void AesCtr(const uint8_t key[32], const uint8_t iv[kIvSize], const uint8_t* in, size_t size, uint8_t* out) {
  BeginAesCtr(key, iv);
  ContinueAesCtr(in, size, out);
}

void BeginAesCtr(const uint8_t key[32], const uint8_t iv[kIvSize]) {
  EVP_CIPHER_CTX* context = Contexts::Get().ctr.get();
  Check(EVP_EncryptInit_ex2(context, Algorithms::Get().aes_256_ctr, key, iv, nullptr), "AES-256-CTR init");
}

void ContinueAesCtr(const uint8_t* in, size_t size, uint8_t* out) {
  EVP_CIPHER_CTX* context = Contexts::Get().ctr.get();
  while (size > 0) {
    const size_t part = std::min(size, kMaxUpdate);
    int written = 0;
    Check(EVP_EncryptUpdate(context, out, &written, in, static_cast<int>(part)), "AES-256-CTR update");
    if (static_cast<size_t>(written) != part) Fail("AES-256-CTR came out short");
    in += part;
    out += part;
    size -= part;
  }
}

void Poly1305Aes(const uint8_t k[16], const uint8_t r[16], const uint8_t nonce[kIvSize], const uint8_t* data,
                 size_t size, uint8_t mac[kMacSize], Poly1305Source source) {
  Contexts& contexts = Contexts::Get();
  // r first, as it is stored: both implementations clamp it on use.
  uint8_t one_time_key[32];
  memcpy(one_time_key, r, 16);
  int written = 0;
  Check(EVP_EncryptInit_ex2(contexts.ecb.get(), Algorithms::Get().aes_128_ecb, k, nullptr, nullptr), "AES init");
  Check(EVP_CIPHER_CTX_set_padding(contexts.ecb.get(), 0), "AES padding");
  Check(EVP_EncryptUpdate(contexts.ecb.get(), one_time_key + 16, &written, nonce, 16), "AES update");
  if (written != 16) Fail("AES came out short");

  if (source == Poly1305Source::kOwn || contexts.mac == nullptr) {
    Poly1305(one_time_key, data, size, mac);
  } else {
    size_t length = 0;
    Check(EVP_MAC_init(contexts.mac.get(), one_time_key, sizeof(one_time_key), nullptr), "Poly1305 init");
    Check(EVP_MAC_update(contexts.mac.get(), data, size), "Poly1305 update");
    Check(EVP_MAC_final(contexts.mac.get(), mac, &length, kMacSize), "Poly1305 final");
    if (length != kMacSize) Fail("Poly1305 came out short");
    ClearUpperHalves();
  }
  OPENSSL_cleanse(one_time_key, sizeof(one_time_key));
}

void RandomBytes(uint8_t* out, size_t size) {
  Check(RAND_bytes(out, static_cast<int>(size)), "random bytes");
}

bool EqualInConstantTime(const uint8_t* a, const uint8_t* b, size_t size) {
  return CRYPTO_memcmp(a, b, size) == 0;
}

}  // namespace yore
