// Writes notifications to /dev/fuse on a thread of its own. The kernel takes the lock of the directory (or of pages) for
// them and so may have to wait for a reply that only the JavaScript thread can give: such a write on that thread would never
// come back.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "napi_helpers.h"

namespace yore {

// An open /dev/fuse. Closed when its last owner (channel, notifier thread) is gone.
struct FuseDevice {
  explicit FuseDevice(int descriptor) : fd(descriptor) {}
  FuseDevice(const FuseDevice&) = delete;
  FuseDevice& operator=(const FuseDevice&) = delete;
  ~FuseDevice();
  const int fd;
};

class FuseNotifier {
 public:
  static constexpr size_t kLargeBytes = (size_t{2} << 20) + 4096;

  // Runs the thread, which keeps the notifier alive. `max_bytes` bounds what waits, see PushFitting.
  static std::shared_ptr<FuseNotifier> Start(std::shared_ptr<FuseDevice> device, size_t max_bytes);

  FuseNotifier(std::shared_ptr<FuseDevice> device, size_t max_bytes)
      : device_(std::move(device)), max_bytes_(max_bytes) {}

  // Memory for a message. That for those of 128 KiB to kLargeBytes is used again: mapped anew for each it would take more
  // time than the message, 0.9 of 1.6 s of the main thread while a large file is read at random. Up to four such pieces of
  // memory are kept.
  OwnedBytes Room(size_t bytes);
  void Push(OwnedBytes message);
  // Whether so many bytes more are below the bound.
  bool Fits(size_t bytes);
  // As many as fit below the bound, from the first on. Returns how many that were.
  size_t PushFitting(std::vector<OwnedBytes> messages);
  // How many messages were pushed so far: the number of the last one.
  uint64_t pushed();
  // A reply that is to be written right behind the message of this number. False when that one is being written already.
  bool ReplyBehind(uint64_t number, OwnedBytes& reply);
  // No more writes are begun afterwards.
  void Stop();
  bool IsWriting();

 private:
  // The mutex is held.
  bool HaveRoom(size_t bytes) const { return queued_bytes_ < max_bytes_ && bytes <= max_bytes_ - queued_bytes_; }
  void Run();
  void Write(const OwnedBytes& message);
  std::shared_ptr<FuseDevice> device_;
  const size_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable wake_;
  struct Queued {
    OwnedBytes message;
    // Written behind it.
    std::vector<OwnedBytes> replies;
  };
  std::deque<Queued> queue_;
  // Messages that were taken out of it.
  uint64_t taken_ = 0;
  size_t queued_bytes_ = 0;
  // Of large messages that were written, all with room for kLargeBytes.
  std::vector<OwnedBytes> spare_;
  bool stopped_ = false;
  bool writing_ = false;
};

}  // namespace yore
