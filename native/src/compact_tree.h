// The memory of a CompactTree, as it is drawn in src/cache/compact-tree.ts.
#pragma once

#include <cstdint>
#include <cstring>

#include "napi_helpers.h"

namespace yore {

constexpr size_t kTreeHeaderBytes = 8;
constexpr size_t kTreeIdBytes = 32;
// Type and permissions share their word with flags.
constexpr uint32_t kTreeModeMask = 0xffff;
constexpr uint32_t kTreeHasAttributes = 1u << 16;

struct TreeEntry {
  double size;
  double mtime;
  double atime;
  double ctime;
  uint64_t inode;
  uint64_t device_id;
  uint32_t name_offset;
  uint32_t name_length;
  uint32_t mtime_ns;
  uint32_t atime_ns;
  uint32_t ctime_ns;
  uint32_t uid;
  uint32_t gid;
  uint32_t links;
  uint32_t rdev;
  uint32_t content_offset;
  uint32_t content_count;
  uint32_t mode;

  uint32_t Mode() const { return mode & kTreeModeMask; }
  uint32_t Kind() const { return mode & 0170000; }
};
static_assert(sizeof(TreeEntry) == 96, "the layout of an entry is fixed");

// A tree somebody else made: what its entries say is believed only within its memory.
class TreeView {
 public:
  // False, with an exception pending: not the memory of a tree.
  bool Read(napi_env env, napi_value value) {
    if (!GetBytes(env, value, "tree", &bytes_)) return false;
    if (bytes_.size >= kTreeHeaderBytes && reinterpret_cast<uintptr_t>(bytes_.data) % 8 == 0) {
      memcpy(&length_, bytes_.data, sizeof length_);
      if (length_ <= (bytes_.size - kTreeHeaderBytes) / sizeof(TreeEntry)) return true;
    }
    ThrowRange(env, "tree", "the memory of a tree");
    return false;
  }

  uint32_t length() const { return length_; }

  const TreeEntry& at(uint32_t position) const {
    return reinterpret_cast<const TreeEntry*>(bytes_.data + kTreeHeaderBytes)[position];
  }

  // Empty when the entry points out of the memory.
  Bytes Name(const TreeEntry& entry) const { return Within(entry.name_offset, entry.name_length); }

  // IDs of the blobs of a file, of the tree of a directory.
  Bytes Ids(const TreeEntry& entry) const {
    return Within(entry.content_offset, uint64_t{entry.content_count} * kTreeIdBytes);
  }

 private:
  Bytes Within(uint64_t offset, uint64_t size) const {
    if (offset + size > bytes_.size) return {};
    return {bytes_.data + offset, static_cast<size_t>(size)};
  }

  Bytes bytes_;
  uint32_t length_ = 0;
};

}  // namespace yore
