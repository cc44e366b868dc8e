// Arguments of the functions that seal many things in one hop.
#pragma once

#include <memory>
#include <vector>

#include "bytes_list.h"
#include "compression.h"
#include "handles.h"
#include "napi_helpers.h"
#include "seal.h"
#include "sha256_lanes.h"
#include "thread_pool.h"

namespace yore {

// What every way of sealing is asked for.
class AnySealTask : public Task {
 public:
  std::shared_ptr<const MasterKey> key;
  std::vector<Bytes> plaintexts;
  std::vector<int32_t> levels;
  bool verify = false;

  bool Read(napi_env env, napi_value key_handle, napi_value inputs, napi_value input_levels, napi_value verify_wanted,
            napi_value input_ids) {
    return GetBytesList(env, inputs, "plaintexts", this, &plaintexts) &&
           ReadRest(env, key_handle, input_levels, verify_wanted, input_ids);
  }

  // Plaintexts that are parts of one piece of memory, `places` being offset and length of each.
  bool ReadParts(napi_env env, napi_value key_handle, napi_value memory_bytes, napi_value part_places,
                 napi_value input_levels, napi_value verify_wanted, napi_value input_ids) {
    Bytes memory;
    std::vector<uint32_t> places;
    if (!GetBytes(env, memory_bytes, "memory", &memory) ||
        !GetAllNumbers(env, part_places, "places", napi_uint32_array, "a Uint32Array", &places))
      return false;
    if (places.size() % 2 != 0) {
      ThrowRange(env, "places", "an offset and a length for each");
      return false;
    }
    for (size_t i = 0; i < places.size(); i += 2) {
      if (places[i] > memory.size || places[i + 1] > memory.size - places[i]) {
        ThrowRange(env, "places", "places within the memory");
        return false;
      }
      plaintexts.push_back({memory.data + places[i], places[i + 1]});
    }
    return Hold(env, memory_bytes) && ReadRest(env, key_handle, input_levels, verify_wanted, input_ids);
  }

 protected:
  // Whether a plaintext is still what its ID says; without IDs it is. To be asked in order, before each is sealed: several
  // are hashed at a time, and then sealed while they are in the cache.
  bool IsRight(size_t i) {
    if (!ChecksIds()) return true;
    if (i >= checked_) CheckFrom(i);
    return is_right_[i - first_checked_];
  }

  // For who hashes a plaintext without asking IsRight.
  bool ChecksIds() const { return verify && !ids_.empty(); }
  bool IsChecked(size_t i) const { return i >= first_checked_ && i < checked_; }
  const uint8_t* Id(size_t i) const { return ids_.data() + i * kHashSize; }

 private:
  bool ReadRest(napi_env env, napi_value key_handle, napi_value input_levels, napi_value verify_wanted,
                napi_value input_ids) {
    Bytes hashes;
    key = GetHandle<const MasterKey>(env, key_handle, "key", &kKeyTag);
    if (key == nullptr ||
        !GetNumbers(env, input_levels, "levels", napi_int32_array, "an Int32Array", plaintexts.size(), &levels) ||
        !GetBool(env, verify_wanted, "verify", &verify))
      return false;
    if (!IsNullish(env, input_ids)) {
      if (!GetBytesOfSize(env, input_ids, "ids", plaintexts.size() * kHashSize, &hashes)) return false;
      if (hashes.size > 0) ids_.assign(hashes.data, hashes.data + hashes.size);
    }
    for (const Bytes& plaintext : plaintexts) {
      if (plaintext.size > UINT32_MAX) {
        ThrowRange(env, "plaintexts", "less than 4 GiB each");
        return false;
      }
    }
    for (int32_t level : levels) {
      if (level != kStored && (level < MinCompressionLevel() || level > MaxCompressionLevel())) {
        ThrowRange(env, "levels", "levels that zstd knows");
        return false;
      }
    }
    return true;
  }

  void CheckFrom(size_t first) {
    first_checked_ = first;
    HashInput inputs[kCheckedAtOnce] = {};
    uint8_t hashes[kCheckedAtOnce][kHashSize];
    size_t count = 0, bytes = 0;
    while (first + count < plaintexts.size() && count < kCheckedAtOnce && (count == 0 || bytes < kCheckedBytes)) {
      const Bytes& plaintext = plaintexts[first + count];
      inputs[count] = {plaintext.data, plaintext.size, hashes[count]};
      bytes += plaintext.size;
      count++;
    }
    checked_ = first + count;
    Sha256All(inputs, count);
    for (size_t i = 0; i < count; i++)
      is_right_[i] = memcmp(hashes[i], Id(first + i), kHashSize) == 0;
  }

  static constexpr size_t kCheckedAtOnce = 16;
  static constexpr size_t kCheckedBytes = size_t{128} << 10;

  // One for each plaintext, or none.
  std::vector<uint8_t> ids_;
  // Those from the first to before `checked_` were checked.
  size_t first_checked_ = 0;
  size_t checked_ = 0;
  bool is_right_[kCheckedAtOnce];
};

}  // namespace yore
