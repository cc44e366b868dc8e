#include "poly1305.h"

#include <cstring>
#include <initializer_list>

namespace yore {

namespace {

// Numbers modulo p = 2^130 - 5 are held in limbs of 44, 44 and 42 bits, so that products of limbs and their sums fit
// into 128 bits. 2.1 GB/s measured, against 12 of OpenSSL's vector code.
using Wide = unsigned __int128;

constexpr uint64_t kMask44 = (uint64_t{1} << 44) - 1;
constexpr uint64_t kMask42 = (uint64_t{1} << 42) - 1;

uint64_t LoadLittleEndian(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
  return value;
}

void StoreLittleEndian(uint8_t* bytes, uint64_t value) {
  for (int i = 0; i < 8; i++) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

struct Limbs {
  uint64_t l0, l1, l2;
};

// 128 bits, and the bit above them.
Limbs Split(const uint8_t bytes[16], uint64_t bit128) {
  uint64_t low = LoadLittleEndian(bytes), high = LoadLittleEndian(bytes + 8);
  return {low & kMask44, ((low >> 44) | (high << 20)) & kMask44, (high >> 24) | bit128 << 40};
}

// (h + m) * r mod p, partly reduced. 2^132 = 4 * 2^130 = 20 mod p: what leaves at the top comes back times 20.
void AddAndMultiply(Limbs& h, const Limbs& m, const Limbs& r) {
  h.l0 += m.l0;
  h.l1 += m.l1;
  h.l2 += m.l2;
  const uint64_t r1x20 = r.l1 * 20, r2x20 = r.l2 * 20;
  Wide d0 = Wide{h.l0} * r.l0 + Wide{h.l1} * r2x20 + Wide{h.l2} * r1x20;
  Wide d1 = Wide{h.l0} * r.l1 + Wide{h.l1} * r.l0 + Wide{h.l2} * r2x20;
  Wide d2 = Wide{h.l0} * r.l2 + Wide{h.l1} * r.l1 + Wide{h.l2} * r.l0;
  d1 += static_cast<uint64_t>(d0 >> 44);
  d2 += static_cast<uint64_t>(d1 >> 44);
  h.l0 = (static_cast<uint64_t>(d0) & kMask44) + static_cast<uint64_t>(d2 >> 42) * 5;
  h.l1 = (static_cast<uint64_t>(d1) & kMask44) + (h.l0 >> 44);
  h.l0 &= kMask44;
  h.l2 = static_cast<uint64_t>(d2) & kMask42;
}

// The value below p, without a branch that depends on it.
Limbs Reduce(Limbs h) {
  for (int round = 0; round < 2; round++) {
    h.l1 += h.l0 >> 44;
    h.l0 &= kMask44;
    h.l2 += h.l1 >> 44;
    h.l1 &= kMask44;
    h.l0 += (h.l2 >> 42) * 5;
    h.l2 &= kMask42;
  }
  h.l1 += h.l0 >> 44;
  h.l0 &= kMask44;
  h.l2 += h.l1 >> 44;
  h.l1 &= kMask44;
  // g = h - p = h + 5 - 2^130; taken when it is not negative.
  Limbs g;
  g.l0 = h.l0 + 5;
  g.l1 = h.l1 + (g.l0 >> 44);
  g.l0 &= kMask44;
  g.l2 = h.l2 + (g.l1 >> 44) - (uint64_t{1} << 42);
  g.l1 &= kMask44;
  const uint64_t take_g = (g.l2 >> 63) - 1;
  return {(h.l0 & ~take_g) | (g.l0 & take_g), (h.l1 & ~take_g) | (g.l1 & take_g),
          (h.l2 & ~take_g) | (g.l2 & take_g)};
}

}  // namespace

void Poly1305(const uint8_t key[32], const uint8_t* data, size_t size, uint8_t tag[16]) {
  uint8_t clamped[16];
  memcpy(clamped, key, 16);
  for (int i : {3, 7, 11, 15}) clamped[i] &= 0x0f;
  for (int i : {4, 8, 12}) clamped[i] &= 0xfc;
  const Limbs r = Split(clamped, 0);

  Limbs h = {0, 0, 0};
  for (; size >= 16; data += 16, size -= 16) AddAndMultiply(h, Split(data, 1), r);
  if (size > 0) {
    uint8_t last[16] = {};
    memcpy(last, data, size);
    last[size] = 1;
    AddAndMultiply(h, Split(last, 0), r);
  }

  h = Reduce(h);
  const uint64_t low = h.l0 | h.l1 << 44, high = h.l1 >> 20 | h.l2 << 24;
  const uint64_t s_low = LoadLittleEndian(key + 16), s_high = LoadLittleEndian(key + 24);
  const uint64_t sum_low = low + s_low;
  const uint64_t sum_high = high + s_high + (sum_low < low ? 1 : 0);
  StoreLittleEndian(tag, sum_low);
  StoreLittleEndian(tag + 8, sum_high);
}

}  // namespace yore
