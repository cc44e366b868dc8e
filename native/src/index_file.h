// Index files in the form in which restic and yore write them. Anything else that is valid JSON is left to the decoder in
// src/format/index-file.ts, which also says what is wrong with what is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace yore {

// Marks a tree among the pack numbers.
constexpr uint32_t kTreeBit = 0x80000000;

struct IndexColumns {
  // 32 bytes a pack.
  std::vector<uint8_t> pack_ids;
  // Of each blob in turn: 32 bytes, and the number of its pack in the file, with kTreeBit for trees.
  std::vector<uint8_t> ids;
  std::vector<uint32_t> offsets;
  std::vector<uint32_t> lengths;
  std::vector<uint32_t> uncompressed;
  std::vector<uint32_t> packs;
};

// False if the file has another form; `out` is then to be thrown away.
bool ParseIndexFile(const uint8_t* json, size_t size, IndexColumns* out);

}  // namespace yore
