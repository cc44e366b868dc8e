// The part of scrypt that takes the time and the memory: scryptROMix (RFC 7914 sections 3 to 5). PBKDF2 before and behind
// it is left to the caller. May be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace yore {

constexpr size_t kMaxScryptLanes = 4;

// Mixes some of the p blocks in place, side by side on one core.
//
// blocks  lanes * 128 * r bytes, one block behind the other
// lanes   1 to kMaxScryptLanes
// cost    N, a power of two from 2 on
// stride  a power of two up to N: of the table only every so-manieth state is kept, and what lies between is worked out
//         again. Measured, four lanes of restic's keys: 80 ms with 1 and with 2, 95 with 4, 135 with 8.
//
// Takes lanes * 128 * r * (N / stride + 5) bytes, which are wiped afterwards. Throws std::bad_alloc where there are not so
// many.
void ScryptMix(uint8_t* blocks, size_t lanes, size_t r, uint32_t cost, uint32_t stride);

}  // namespace yore
