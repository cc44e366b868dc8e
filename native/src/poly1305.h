// Poly1305 (D. J. Bernstein; RFC 8439 section 2.5), scalar: for an OpenSSL that offers no EVP_MAC "POLY1305".
#pragma once

#include <cstddef>
#include <cstdint>

namespace yore {

// `key` is r (16 bytes, clamped here) followed by s (16 bytes). Writes 16 bytes.
void Poly1305(const uint8_t key[32], const uint8_t* data, size_t size, uint8_t tag[16]);

}  // namespace yore
