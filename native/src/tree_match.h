// Tells whether a tree blob says exactly what there is in a directory, without making anything of either: what a backup
// asks of every directory when next to nothing has changed. src/format/tree.ts is the encoder that this one follows; the
// bytes are compared, so whatever this one does not know (escapes, unknown fields, another order) is no match, and the
// directory goes the long way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "napi_helpers.h"

namespace yore {

// What of a match only the caller can judge or needs to go on. `details` holds, one behind the other, u32 kind,
// u32 number, u32 length, and so many bytes:
struct MatchedTree {
  enum Kind : uint32_t {
    // A subdirectory: 32 bytes of its tree's ID, then its name.
    kDirectory = 0,
    // The blob's name for a user or group number; empty when it has none.
    kUser = 1,
    kGroup = 2,
    // A name beyond ASCII that stands in the blob as it is.
    kUnquotedName = 3,
  };
  double files = 0;
  // Of all files.
  double bytes = 0;
  // 32-byte IDs of all blobs of all files.
  std::vector<uint8_t> contents;
  std::vector<uint8_t> details;
};

// False when anything differs: entries (without sockets), metadata, access times that are not the modification times.
// The content of files and the trees of directories are the blob's.
bool MatchTree(const std::vector<uint8_t>& records, Bytes blob, MatchedTree* matched);

}  // namespace yore
