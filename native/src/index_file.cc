#include "index_file.h"

#include <array>
#include <cstring>

namespace yore {

namespace {

// {"id":"<64 digits>","type":"data","offset":0,"length":33}, and a comma.
constexpr size_t kShortestBlob = 112;
constexpr uint8_t kNoDigit = 16;

constexpr std::array<uint8_t, 256> HexValues() {
  std::array<uint8_t, 256> values{};
  for (auto& value : values) value = kNoDigit;
  for (uint8_t i = 0; i < 10; i++) values['0' + i] = i;
  for (uint8_t i = 0; i < 6; i++) values['a' + i] = static_cast<uint8_t>(10 + i);
  return values;
}

constexpr std::array<uint8_t, 256> kHexValues = HexValues();

class Parser {
 public:
  Parser(const uint8_t* json, size_t size, IndexColumns* out) : at_(json), end_(json + size), out_(out) {}

  bool File() {
    if (!Take("{\"packs\":[")) return false;
    if (!Take("]")) {
      do {
        if (!Pack()) return false;
      } while (Take(","));
      if (!Take("]")) return false;
    }
    if (!Take("}")) return false;
    Take("\n");
    return at_ == end_;
  }

 private:
  bool Pack() {
    number_ = static_cast<uint32_t>(out_->pack_ids.size() / 32);
    if (!Take("{\"id\":\"") || !Id(&out_->pack_ids) || !Take("\",\"blobs\":[")) return false;
    if (Take("]}")) return true;
    do {
      if (!Blob()) return false;
    } while (Take(","));
    return Take("]}");
  }

  bool Blob() {
    if (!Take("{\"id\":\"") || !Id(&out_->ids) || !Take("\",\"type\":\"")) return false;
    uint32_t pack = number_;
    if (!Take("data")) {
      if (!Take("tree")) return false;
      pack |= kTreeBit;
    }
    uint32_t offset = 0, length = 0, uncompressed = 0;
    if (!Take("\",\"offset\":") || !Number(&offset) || !Take(",\"length\":") || !Number(&length)) return false;
    if (Take(",\"uncompressed_length\":") && !Number(&uncompressed)) return false;
    out_->offsets.push_back(offset);
    out_->lengths.push_back(length);
    out_->uncompressed.push_back(uncompressed);
    out_->packs.push_back(pack);
    return Take("}");
  }

  template <size_t kSize>
  bool Take(const char (&text)[kSize]) {
    constexpr size_t length = kSize - 1;
    if (static_cast<size_t>(end_ - at_) < length || memcmp(at_, text, length) != 0) return false;
    at_ += length;
    return true;
  }

  bool Id(std::vector<uint8_t>* ids) {
    if (end_ - at_ < 64) return false;
    uint8_t id[32];
    uint8_t seen = 0;
    for (size_t i = 0; i < sizeof id; i++) {
      const uint8_t high = kHexValues[at_[2 * i]];
      const uint8_t low = kHexValues[at_[2 * i + 1]];
      seen |= high | low;
      id[i] = static_cast<uint8_t>(high << 4 | low);
    }
    if (seen >= kNoDigit) return false;
    at_ += 64;
    ids->insert(ids->end(), id, id + sizeof id);
    return true;
  }

  // Unsigned 32 bit, no leading zero. What follows is for the caller to look at.
  bool Number(uint32_t* out) {
    const uint8_t* start = at_;
    uint64_t value = 0;
    while (at_ < end_ && at_ - start < 10 && *at_ >= '0' && *at_ <= '9') value = value * 10 + (*at_++ - '0');
    if (at_ == start || (*start == '0' && at_ - start > 1) || value > UINT32_MAX) return false;
    *out = static_cast<uint32_t>(value);
    return true;
  }

  const uint8_t* at_;
  const uint8_t* const end_;
  IndexColumns* const out_;
  uint32_t number_ = 0;
};

}  // namespace

bool ParseIndexFile(const uint8_t* json, size_t size, IndexColumns* out) {
  const size_t most = size / kShortestBlob + 1;
  out->ids.reserve(most * 32);
  for (auto* column : {&out->offsets, &out->lengths, &out->uncompressed, &out->packs}) column->reserve(most);
  return Parser(json, size, out).File();
}

}  // namespace yore
