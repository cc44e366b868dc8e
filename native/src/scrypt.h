// The part of scrypt that takes the time and the memory: scryptROMix (RFC 7914 sections 3 to 5). PBKDF2 before and behind
// it is left to the caller. May be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace yore {

// Mixes one of the p blocks in place.
//
// block  128 * r bytes
// cost   N, a power of two from 2 on
//
// Takes 128 * r * (N + 2) bytes, which are wiped afterwards. Throws std::bad_alloc where there are not so many.
void ScryptMix(uint8_t* block, size_t r, uint32_t cost);

}  // namespace yore
