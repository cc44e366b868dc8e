#include "plain_json.h"

#include <array>

namespace yore {

namespace {

// Value of each lower-case hex digit, 16 for all other bytes.
constexpr std::array<uint8_t, 256> MakeHexValues() {
  std::array<uint8_t, 256> values{};
  for (size_t byte = 0; byte < values.size(); byte++) {
    values[byte] = byte >= '0' && byte <= '9' ? static_cast<uint8_t>(byte - '0')
                   : byte >= 'a' && byte <= 'f' ? static_cast<uint8_t>(byte - 'a' + 10)
                                                : 16;
  }
  return values;
}
constexpr std::array<uint8_t, 256> kHexValues = MakeHexValues();

int Base64Digit(uint8_t byte) {
  if (byte >= 'A' && byte <= 'Z') return byte - 'A';
  if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
  if (byte >= '0' && byte <= '9') return byte - '0' + 52;
  return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

// Unicode 15, table 3-7.
bool IsUtf8(const uint8_t* at, const uint8_t* end) {
  while (at < end) {
    const uint8_t first = *at++;
    if (first < 0x80) continue;
    const int more = first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    if (more == 0 || end - at < more) return false;
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[0] < low || at[0] > high) return false;
    for (int i = 1; i < more; i++) {
      if ((at[i] & 0xc0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}

int64_t DaysFromCivil(int year, int month, int day) {
  const int shifted = month <= 2 ? year - 1 : year;
  const int era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  const int year_of_era = shifted - era * 400;
  const int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return int64_t{era} * 146097 + day_of_era - 719468;
}

// A number of exactly so many digits; -1 when it is none.
int Digits(const uint8_t* at, int count) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    if (at[i] < '0' || at[i] > '9') return -1;
    value = value * 10 + (at[i] - '0');
  }
  return value;
}

}  // namespace

bool PlainJson::TakeString(Span* out) {
  if (!TakeByte('"')) return false;
  const uint8_t* start = at_;
  uint8_t all = 0;
  for (; at_ < end_; at_++) {
    const uint8_t byte = *at_;
    if (byte == '"') break;
    if (byte == '\\' || byte < 0x20) return false;
    all |= byte;
  }
  if (at_ == end_ || (all >= 0x80 && !IsUtf8(start, at_))) return false;
  *out = {start, static_cast<size_t>(at_ - start)};
  at_++;
  return true;
}

bool PlainJson::TakeTime(double* seconds, uint32_t* nanoseconds) {
  Span text;
  if (!TakeString(&text) || text.size < 20) return false;
  const uint8_t* t = text.data;
  const uint8_t* end = t + text.size;
  if (t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':') return false;
  const int hour = Digits(t + 11, 2), minute = Digits(t + 14, 2), second = Digits(t + 17, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
  if (!DateOf(t)) return false;
  const uint8_t* at = t + 19;
  uint32_t fraction = 0;
  if (*at == '.') {
    const uint8_t* first = ++at;
    uint32_t scale = 100000000;
    for (; at < end && *at >= '0' && *at <= '9'; at++, scale /= 10) fraction += (*at - '0') * scale;
    if (at == first) return false;
  }
  int zone = 0;
  if (end - at == 1 && *at == 'Z') {
    zone = 0;
  } else if (end - at == 6 && (*at == '+' || *at == '-') && at[3] == ':') {
    const int hours = Digits(at + 1, 2), minutes = Digits(at + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
    zone = (hours * 60 + minutes) * (*at == '-' ? -1 : 1);
  } else {
    return false;
  }
  *seconds = static_cast<double>(days_ * 86400 + hour * 3600 + minute * 60 + second - zone * 60);
  *nanoseconds = fraction;
  return true;
}

// Sets `days_`; most times of a tree are of the date before.
bool PlainJson::DateOf(const uint8_t* text) {
  if (memcmp(date_, text, sizeof date_) == 0) return true;
  const int year = Digits(text, 4), month = Digits(text + 5, 2), day = Digits(text + 8, 2);
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 0 || month < 1 || month > 12 || day < 1) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day > (month == 2 && leap ? 29 : kDays[month - 1])) return false;
  memcpy(date_, text, sizeof date_);
  days_ = DaysFromCivil(year, month, day);
  return true;
}

bool PlainJson::TakeId(uint8_t* out) {
  if (end_ - at_ < 66 || at_[0] != '"' || at_[65] != '"') return false;
  uint8_t seen = 0;
  for (size_t i = 0; i < kIdBytes; i++) {
    const uint8_t high = kHexValues[at_[1 + 2 * i]], low = kHexValues[at_[2 + 2 * i]];
    seen |= high | low;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  if (seen > 15) return false;
  at_ += 66;
  return true;
}

bool DecodeBase64(const Span& text, std::vector<uint8_t>* out) {
  if (text.size % 4 != 0) return false;
  size_t digits = text.size;
  while (digits > 0 && text.size - digits < 2 && text.data[digits - 1] == '=') digits--;
  uint32_t bits = 0;
  for (size_t i = 0; i < digits; i++) {
    const int digit = Base64Digit(text.data[i]);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 == 1) out->push_back(static_cast<uint8_t>(bits >> 4));
    if (i % 4 == 2) out->push_back(static_cast<uint8_t>(bits >> 2));
    if (i % 4 == 3) out->push_back(static_cast<uint8_t>(bits));
  }
  return true;
}

}  // namespace yore
