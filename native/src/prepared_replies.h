// Replies that are written before they are asked for. A walk through a tree asks for one directory after the other, each
// twice: for its entries, and whether there are more. Both answers wait here, so that the walker gets them without a turn of
// JavaScript, which prepares the next ones while the walker is busy with these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fuse_notifier.h"
#include "napi_helpers.h"

namespace yore {

// fuse_out_header: len u32, error i32, unique u64.
constexpr size_t kFuseOutHeaderBytes = 16;

class PreparedReplies {
 public:
  static constexpr uint32_t kSlots = 8;

  enum class Outcome {
    kUnknown,  // Nothing is prepared for this request.
    kQuiet,    // Answered; more of the same slot will be asked for.
    kAnswered,
  };

  // What was left of a slot.
  enum Left : uint32_t { kNothing, kAll, kEnd };

  // Prepares the answer to the first READDIRPLUS of a directory. `end`: cookie with which the second one asks, which is
  // answered that there is nothing more; 0 when there is more. `contents`: notifications that are sent when the second one
  // comes, and the first of them before it is answered: so whoever reads the files at once finds them there.
  void Put(uint32_t slot, uint64_t node, uint32_t size, const uint8_t* body, size_t length, uint64_t end,
           std::vector<OwnedBytes> contents);
  Left Withdraw(uint32_t slot);

  // Answers a request, whose header is there, if its reply is. `storer` writes the contents; nullptr when there are none.
  Outcome Answer(int fd, FuseNotifier* storer, const uint8_t* request, size_t length);

  // Bits of the slots whose entries the kernel got, or refused, since the last call.
  uint32_t TakeAnswered() { return Take(&answered_); }
  uint32_t TakeRefused() { return Take(&refused_); }

 private:
  struct Slot {
    Left left = kNothing;
    uint64_t node = 0;
    // Room that the request must offer.
    uint32_t size = 0;
    uint64_t end = 0;
    // Header and body.
    std::vector<uint8_t> reply;
    std::vector<OwnedBytes> contents;
  };

  static uint32_t Take(uint32_t* bits) {
    const uint32_t taken = *bits;
    *bits = 0;
    return taken;
  }
  Outcome AnswerEntries(int fd, uint32_t number, uint64_t unique);
  static Outcome AnswerEnd(int fd, FuseNotifier* storer, Slot& slot, uint64_t unique);

  Slot slots_[kSlots];
  uint32_t answered_ = 0;
  uint32_t refused_ = 0;
};

}  // namespace yore
