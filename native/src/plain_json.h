// Plain JSON, as programs write it: no white space, no escapes. Whatever else there may be is refused, not judged: its
// reader starts again with a decoder that knows all of JSON.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "napi_helpers.h"

namespace yore {

// A stretch of the JSON; valid as long as it is.
struct Span {
  const uint8_t* data = nullptr;
  size_t size = 0;
  bool Is(const char* text) const { return size == strlen(text) && memcmp(data, text, size) == 0; }
};

// Reads one token after the other. After a false the place is undefined: the whole text is given up.
class PlainJson {
 public:
  static constexpr size_t kIdBytes = 32;

  explicit PlainJson(Bytes json) : start_(json.data), at_(json.data), end_(json.data + json.size) {}

  bool AtEnd() const { return at_ == end_; }

  bool IsAt(uint8_t byte) const { return at_ < end_ && *at_ == byte; }

  size_t Offset() const { return at_ - start_; }

  bool TakeByte(uint8_t byte) {
    if (at_ == end_ || *at_ != byte) return false;
    at_++;
    return true;
  }

  bool Take(const char* text) {
    const size_t size = strlen(text);
    if (static_cast<size_t>(end_ - at_) < size || memcmp(at_, text, size) != 0) return false;
    at_ += size;
    return true;
  }

  // A string without escapes, in UTF-8.
  bool TakeString(Span* out);

  bool TakeUint(uint64_t* out) {
    const uint8_t* start = at_;
    uint64_t value = 0;
    for (; at_ < end_ && *at_ >= '0' && *at_ <= '9'; at_++) {
      const uint64_t digit = *at_ - '0';
      if (value > (UINT64_MAX - digit) / 10) return false;
      value = value * 10 + digit;
    }
    *out = value;
    const size_t digits = at_ - start;
    // What follows is looked at by the caller, so that a fraction or an exponent is refused.
    return digits > 0 && (digits == 1 || *start != '0');
  }

  bool TakeUint32(uint32_t* out) {
    uint64_t value;
    if (!TakeUint(&value) || value > UINT32_MAX) return false;
    *out = static_cast<uint32_t>(value);
    return true;
  }

  // RFC 3339 with years of four digits.
  bool TakeTime(double* seconds, uint32_t* nanoseconds);

  // A string of 64 lower-case hex digits, as 32 bytes.
  bool TakeId(uint8_t* out);

 private:
  bool DateOf(const uint8_t* text);

  const uint8_t* const start_;
  const uint8_t* at_;
  const uint8_t* end_;
  // The date that was read last, and its days since 1970.
  uint8_t date_[10] = {};
  int64_t days_ = 0;
};

// Appends what the digits stand for, which must be padded. False: it is no Base64.
bool DecodeBase64(const Span& text, std::vector<uint8_t>* out);

}  // namespace yore
