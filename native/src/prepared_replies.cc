#include "prepared_replies.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace yore {

namespace {

// fuse_in_header: len u32, opcode u32, unique u64, nodeid u64, ... ; fuse_read_in: fh u64, offset u64, size u32.
constexpr size_t kNodeAt = 16, kOffsetAt = 48, kSizeAt = 56, kReadInEnd = 60;
constexpr uint32_t kOpReaddirplus = 44;
// So many files of a directory are stored before its end is told. The others come faster than anybody reads the first.
constexpr size_t kStoredBeforeEnd = 2;

template <typename T>
T Get(const uint8_t* from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

// Writes the header of a reply.
void Address(uint8_t* reply, size_t length, uint64_t unique) {
  const auto total = static_cast<uint32_t>(length);
  memcpy(reply, &total, 4);
  memset(reply + 4, 0, 4);
  memcpy(reply + 8, &unique, 8);
}

// @return errno
int Write(int fd, const uint8_t* reply, size_t length) { return write(fd, reply, length) < 0 ? errno : 0; }

}  // namespace

void PreparedReplies::Put(uint32_t number, uint64_t node, uint32_t size, const uint8_t* body, size_t length,
                          uint64_t end, std::vector<OwnedBytes> contents) {
  Slot& slot = slots_[number];
  slot.reply.resize(kFuseOutHeaderBytes + length);
  if (length > 0) memcpy(slot.reply.data() + kFuseOutHeaderBytes, body, length);
  slot.left = kAll;
  slot.node = node;
  slot.size = size;
  slot.end = end;
  slot.contents = std::move(contents);
}

PreparedReplies::Left PreparedReplies::Withdraw(uint32_t number) {
  slots_[number].contents.clear();
  return std::exchange(slots_[number].left, kNothing);
}

PreparedReplies::Outcome PreparedReplies::Answer(int fd, FuseNotifier* storer, const uint8_t* request, size_t length) {
  if (length < kReadInEnd || Get<uint32_t>(request + 4) != kOpReaddirplus) return Outcome::kUnknown;
  const auto unique = Get<uint64_t>(request + 8);
  const auto node = Get<uint64_t>(request + kNodeAt);
  const auto offset = Get<uint64_t>(request + kOffsetAt);
  for (uint32_t number = 0; number < kSlots; number++) {
    Slot& slot = slots_[number];
    if (slot.left == kNothing || slot.node != node) continue;
    if (slot.left == kAll && offset == 0 && Get<uint32_t>(request + kSizeAt) >= slot.size)
      return AnswerEntries(fd, number, unique);
    if (slot.left == kEnd && offset == slot.end) return AnswerEnd(fd, storer, slot, unique);
  }
  return Outcome::kUnknown;
}

PreparedReplies::Outcome PreparedReplies::AnswerEnd(int fd, FuseNotifier* storer, Slot& slot, uint64_t unique) {
  slot.left = kNothing;
  OwnedBytes empty(kFuseOutHeaderBytes);
  Address(empty.data.get(), empty.size, unique);
  if (!slot.contents.empty()) {
    // Only now: the walker has told its kernel of the files when it asks for more.
    const uint64_t before = storer->pushed();
    const size_t count = storer->PushFitting(std::exchange(slot.contents, {}));
    if (count > 0 && storer->ReplyBehind(before + std::min(count, kStoredBeforeEnd), empty)) return Outcome::kAnswered;
  }
  const int error = Write(fd, empty.data.get(), empty.size);
  return error == 0 || error == ENOENT ? Outcome::kAnswered : Outcome::kUnknown;
}

PreparedReplies::Outcome PreparedReplies::AnswerEntries(int fd, uint32_t number, uint64_t unique) {
  Slot& slot = slots_[number];
  Address(slot.reply.data(), slot.reply.size(), unique);
  const int error = Write(fd, slot.reply.data(), slot.reply.size());
  if (error == 0) {
    answered_ |= 1u << number;
    slot.left = slot.end != 0 ? kEnd : kNothing;
    return slot.left == kEnd ? Outcome::kQuiet : Outcome::kAnswered;
  }
  refused_ |= 1u << number;
  slot.left = kNothing;
  // ENOENT: the request was aborted meanwhile. Of any other the caller still wants a reply.
  return error == ENOENT ? Outcome::kAnswered : Outcome::kUnknown;
}

}  // namespace yore
