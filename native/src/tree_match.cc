#include "tree_match.h"

#include <sys/stat.h>
#include <time.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "scan_record.h"

namespace yore {

namespace {

constexpr size_t kIdSize = 32;

// Bytes that neither Go's quoting of names nor JSON changes; those from 0x80 on may be parts of such characters.
bool IsPlain(uint8_t byte) {
  return byte >= 0x20 && byte <= 0x7e && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

bool IsPlainText(std::string_view text) {
  for (char byte : text) {
    if (!IsPlain(static_cast<uint8_t>(byte))) return false;
  }
  return true;
}

int HexDigit(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  return -1;
}

std::string Base64(const uint8_t* bytes, size_t size) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < size; i += 3) {
    const size_t left = size - i;
    const uint32_t group = static_cast<uint32_t>(bytes[i]) << 16 | (left > 1 ? bytes[i + 1] << 8 : 0) |
                           (left > 2 ? bytes[i + 2] : 0);
    text += kDigits[group >> 18];
    text += kDigits[group >> 12 & 63];
    text += left > 1 ? kDigits[group >> 6 & 63] : '=';
    text += left > 2 ? kDigits[group & 63] : '=';
  }
  return text;
}

// The kind of object in the words of a tree, and what Go's file mode adds for it. Null for what has no place in a match.
const char* TypeOf(uint32_t mode, uint32_t* go_bits) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      *go_bits = 0;
      return "file";
    case S_IFDIR:
      *go_bits = uint32_t{1} << 31;
      return "dir";
    case S_IFLNK:
      *go_bits = uint32_t{1} << 27;
      return "symlink";
    case S_IFBLK:
      *go_bits = uint32_t{1} << 26;
      return "dev";
    case S_IFCHR:
      *go_bits = uint32_t{1} << 26 | uint32_t{1} << 21;
      return "chardev";
    case S_IFIFO:
      *go_bits = uint32_t{1} << 25;
      return "fifo";
    default:
      return nullptr;
  }
}

uint32_t GoMode(uint32_t mode, uint32_t go_bits) {
  return (mode & 0777) | go_bits | (mode & S_ISUID ? 1u << 23 : 0) | (mode & S_ISGID ? 1u << 22 : 0) |
         (mode & S_ISVTX ? 1u << 20 : 0);
}

// Writes moments as Go does (RFC 3339 with as many digits of a second as they need), in the zone of this machine. What was
// unpacked or checked out together has the same second in many nodes: its text is kept.
class MomentWriter {
 public:
  // Empty for what is rare enough to be left to the long way: years without four digits, zones with seconds.
  std::string_view Write(int64_t seconds, uint32_t nanoseconds) {
    if (nanoseconds > 999'999'999 || !Begin(seconds)) return {};
    char* end = text_ + kSecondLength;
    if (nanoseconds != 0) {
      *end++ = '.';
      for (uint32_t unit = 100'000'000; nanoseconds != 0; unit /= 10) {
        *end++ = static_cast<char>('0' + nanoseconds / unit);
        nanoseconds %= unit;
      }
    }
    memcpy(end, zone_, zone_length_);
    return std::string_view(text_, end + zone_length_ - text_);
  }

 private:
  static constexpr size_t kSecondLength = 19;

  bool Begin(int64_t seconds) {
    if (zone_length_ != 0 && seconds == seconds_) return true;
    zone_length_ = 0;
    const time_t moment = static_cast<time_t>(seconds);
    struct tm local;
    if (localtime_r(&moment, &local) == nullptr) return false;
    const int year = local.tm_year + 1900;
    if (year < 1000 || year > 9999 || local.tm_gmtoff % 60 != 0) return false;
    snprintf(text_, sizeof text_, "%04d-%02d-%02dT%02d:%02d:%02d", year, local.tm_mon + 1, local.tm_mday, local.tm_hour,
             local.tm_min, local.tm_sec);
    const long minutes = local.tm_gmtoff / 60;
    const long size = minutes < 0 ? -minutes : minutes;
    const int length = minutes == 0 ? snprintf(zone_, sizeof zone_, "Z")
                                    : snprintf(zone_, sizeof zone_, "%c%02ld:%02ld", minutes < 0 ? '-' : '+',
                                               size / 60, size % 60);
    zone_length_ = static_cast<size_t>(length);
    seconds_ = seconds;
    return true;
  }

  char text_[64];
  char zone_[24];
  // 0 while there is nothing of a second.
  size_t zone_length_ = 0;
  int64_t seconds_ = 0;
};

class TreeMatcher {
 public:
  TreeMatcher(Bytes blob, MatchedTree* matched) : at_(blob.data), end_(blob.data + blob.size), matched_(matched) {}

  bool Match(const std::vector<uint8_t>& records) {
    if (!Expect("{\"nodes\":[")) return false;
    bool is_first = true;
    for (size_t start = 0; start < records.size(); start += GetAt<uint32_t>(records.data() + start, 0)) {
      const uint8_t* record = records.data() + start;
      // In this order: without the first, there are no others.
      if (GetAt<int32_t>(record, 16) != 0 || GetAt<int32_t>(record, 20) != 0 || GetAt<int32_t>(record, 24) != 0)
        return false;
      if ((GetAt<uint32_t>(record, 28) & S_IFMT) == S_IFSOCK) continue;
      if (!is_first && !Expect(",")) return false;
      is_first = false;
      if (!MatchNode(record)) return false;
    }
    return Expect("]}\n") && at_ == end_;
  }

 private:
  bool MatchNode(const uint8_t* record) {
    const uint32_t mode = GetAt<uint32_t>(record, 28);
    uint32_t go_bits;
    const char* type = TypeOf(mode, &go_bits);
    if (type == nullptr) return false;
    const std::string_view name(reinterpret_cast<const char*>(record) + kScanRecordFixedLength,
                                GetAt<uint32_t>(record, 4));
    const uint32_t uid = GetAt<uint32_t>(record, 32), gid = GetAt<uint32_t>(record, 36);
    const bool is_file = S_ISREG(mode), is_directory = S_ISDIR(mode);
    const bool is_device = S_ISBLK(mode) || S_ISCHR(mode);
    const int64_t size = is_file ? GetAt<int64_t>(record, 72) : 0;
    if (size < 0) return false;
    const std::string_view target(name.data() + name.size(), GetAt<uint32_t>(record, 8));
    const uint8_t* attributes = reinterpret_cast<const uint8_t*>(target.data() + target.size());
    return Expect("{\"name\":") && ExpectName(name) && Expect(",\"type\":\"") && Expect(type) && Expect("\"") &&
           ExpectCount(",\"mode\":", GoMode(mode, go_bits)) && ExpectTimes(record) &&
           Expect(",\"uid\":") && ExpectNumber(uid) && Expect(",\"gid\":") && ExpectNumber(gid) &&
           TakeOwner(",\"user\":\"", MatchedTree::kUser, uid, &user_) &&
           TakeOwner(",\"group\":\"", MatchedTree::kGroup, gid, &group_) &&
           ExpectCount(",\"inode\":", GetAt<uint64_t>(record, 48)) &&
           ExpectCount(",\"device_id\":", GetAt<uint64_t>(record, 40)) && ExpectCount(",\"size\":", size) &&
           ExpectCount(",\"links\":", is_directory || S_ISFIFO(mode) ? 0 : GetAt<uint64_t>(record, 56)) &&
           (!S_ISLNK(mode) || ExpectTarget(target)) &&
           ExpectAttributes(attributes, attributes + GetAt<uint32_t>(record, 12)) &&
           ExpectCount(",\"device\":", is_device ? GetAt<uint64_t>(record, 64) : 0) &&
           Expect(",\"content\":") && (is_file ? TakeContent(size) : Expect("null")) &&
           (!is_directory || TakeSubtree(name)) && Expect("}");
  }

  bool Expect(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size() || memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    return true;
  }

  bool ExpectNumber(uint64_t number) {
    char digits[24];
    const auto result = std::to_chars(digits, digits + sizeof digits, number);
    return Expect(std::string_view(digits, result.ptr - digits));
  }

  // A number that is left out when it is 0.
  bool ExpectCount(std::string_view field, uint64_t number) {
    return number == 0 || (Expect(field) && ExpectNumber(number));
  }

  bool ExpectName(std::string_view name) {
    bool is_ascii = true;
    for (char byte : name) {
      if (static_cast<uint8_t>(byte) >= 0x80) is_ascii = false;
      else if (!IsPlain(static_cast<uint8_t>(byte))) return false;
    }
    if (!Expect("\"") || !Expect(name) || !Expect("\"")) return false;
    if (!is_ascii) Note(MatchedTree::kUnquotedName, 0, name);
    return true;
  }

  bool ExpectTimes(const uint8_t* record) {
    const std::string_view mtime = mtimes_.Write(GetAt<int64_t>(record, 96), GetAt<uint32_t>(record, 116));
    if (mtime.empty() || !Expect(",\"mtime\":\"") || !Expect(mtime) || !Expect("\",\"atime\":\"") || !Expect(mtime))
      return false;
    const std::string_view ctime = ctimes_.Write(GetAt<int64_t>(record, 104), GetAt<uint32_t>(record, 120));
    return !ctime.empty() && Expect("\",\"ctime\":\"") && Expect(ctime) && Expect("\"");
  }

  // Name of a user or group as it stands there, noted whenever it is not that of the node before.
  struct Owner {
    bool is_known = false;
    uint32_t number = 0;
    std::string_view name;
  };

  bool TakeOwner(std::string_view field, MatchedTree::Kind kind, uint32_t number, Owner* last) {
    std::string_view name;
    if (Expect(field)) {
      const auto* quote = static_cast<const uint8_t*>(memchr(at_, '"', end_ - at_));
      if (quote == nullptr || quote == at_) return false;
      name = std::string_view(reinterpret_cast<const char*>(at_), quote - at_);
      if (!IsPlainText(name)) return false;
      at_ = quote + 1;
    }
    if (last->is_known && last->number == number && last->name == name) return true;
    *last = {true, number, name};
    Note(kind, number, name);
    return true;
  }

  bool ExpectTarget(std::string_view target) {
    if (target.empty()) return true;
    return IsPlainText(target) && Expect(",\"linktarget\":\"") && Expect(target) && Expect("\"");
  }

  bool ExpectAttributes(const uint8_t* at, const uint8_t* end) {
    bool is_first = true;
    while (at < end) {
      const uint32_t name_length = GetAt<uint32_t>(at, 0), value_length = GetAt<uint32_t>(at, 4);
      const std::string_view name(reinterpret_cast<const char*>(at) + 8, name_length);
      at += 8 + name_length;
      if (value_length == kUnreadableAttribute) continue;
      if (!Expect(is_first ? ",\"extended_attributes\":[" : ",")) return false;
      is_first = false;
      if (!IsPlainText(name) || !Expect("{\"name\":\"") || !Expect(name) || !Expect("\",\"value\":\"") ||
          !Expect(Base64(at, value_length)) || !Expect("\"}"))
        return false;
      at += value_length;
    }
    return is_first || Expect("]");
  }

  bool TakeId(std::vector<uint8_t>* out) {
    if (static_cast<size_t>(end_ - at_) < 2 * kIdSize) return false;
    for (size_t i = 0; i < kIdSize; i++) {
      const int high = HexDigit(at_[2 * i]), low = HexDigit(at_[2 * i + 1]);
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<uint8_t>(high << 4 | low));
    }
    at_ += 2 * kIdSize;
    return true;
  }

  bool TakeContent(int64_t size) {
    matched_->files++;
    matched_->bytes += static_cast<double>(size);
    if (!Expect("[")) return false;
    for (bool is_first = true; !Expect("]"); is_first = false) {
      if (!Expect(is_first ? "\"" : ",\"") || !TakeId(&matched_->contents) || !Expect("\"")) return false;
    }
    return true;
  }

  bool TakeSubtree(std::string_view name) {
    std::vector<uint8_t> id;
    if (!Expect(",\"subtree\":\"") || !TakeId(&id) || !Expect("\"")) return false;
    Note(MatchedTree::kDirectory, 0, std::string(id.begin(), id.end()).append(name));
    return true;
  }

  void Note(MatchedTree::Kind kind, uint32_t number, std::string_view bytes) {
    const uint32_t head[] = {kind, number, static_cast<uint32_t>(bytes.size())};
    std::vector<uint8_t>& out = matched_->details;
    const auto* head_bytes = reinterpret_cast<const uint8_t*>(head);
    out.insert(out.end(), head_bytes, head_bytes + sizeof head);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }

  const uint8_t* at_;
  const uint8_t* end_;
  MatchedTree* matched_;
  MomentWriter mtimes_, ctimes_;
  Owner user_;
  Owner group_;
};

}  // namespace

bool MatchTree(const std::vector<uint8_t>& records, Bytes blob, MatchedTree* matched) {
  return TreeMatcher(blob, matched).Match(records);
}

}  // namespace yore
