#pragma once

#include <algorithm>

#include "napi_helpers.h"

namespace yore {

// Memory between two steps, kept by its thread so that it is not mapped anew for each blob. What was needed for an
// exceptionally large one is given back.
class Scratch {
 public:
  uint8_t* Reserve(size_t size) {
    if (size > memory_.size || (memory_.size > kKeepBytes && size <= kKeepBytes))
      memory_ = OwnedBytes(std::max(size, kStartBytes));
    return memory_.data.get();
  }

  // For who will not need it soon.
  void GiveBack() { memory_ = OwnedBytes(); }

 private:
  static constexpr size_t kStartBytes = 64 * 1024;
  static constexpr size_t kKeepBytes = 16 * 1024 * 1024;
  OwnedBytes memory_;
};

}  // namespace yore
