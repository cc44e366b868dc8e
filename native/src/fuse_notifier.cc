#include "fuse_notifier.h"

#ifdef __linux__

#include <unistd.h>

#include <algorithm>
#include <thread>

namespace yore {

namespace {

// Smaller ones get what they need: many of them may wait. All others have room for the largest, which costs nothing as long
// as it is not written to.
constexpr size_t kSmallBytes = size_t{128} << 10;
constexpr size_t kMaxSpare = 4;

bool IsLarge(size_t bytes) { return bytes > kSmallBytes && bytes <= FuseNotifier::kLargeBytes; }

}  // namespace

FuseDevice::~FuseDevice() { close(fd); }

std::shared_ptr<FuseNotifier> FuseNotifier::Start(std::shared_ptr<FuseDevice> device, size_t max_bytes) {
  auto notifier = std::make_shared<FuseNotifier>(std::move(device), max_bytes);
  // Detached: a write that waits in the kernel must not keep anybody from ending.
  std::thread([notifier] { notifier->Run(); }).detach();
  return notifier;
}

OwnedBytes FuseNotifier::Room(size_t bytes) {
  if (!IsLarge(bytes)) return OwnedBytes(bytes);
  OwnedBytes room;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!spare_.empty()) {
      room = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (room.data == nullptr) room = OwnedBytes(kLargeBytes);
  room.size = bytes;
  return room;
}

void FuseNotifier::Push(OwnedBytes message) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_) return;
  queued_bytes_ += message.size;
  queue_.push_back({std::move(message), {}});
  wake_.notify_one();
}

bool FuseNotifier::Fits(size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  return !stopped_ && HaveRoom(bytes);
}

size_t FuseNotifier::PushFitting(std::vector<OwnedBytes> messages) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_) return 0;
  size_t pushed = 0;
  for (OwnedBytes& message : messages) {
    if (!HaveRoom(message.size)) break;
    queued_bytes_ += message.size;
    queue_.push_back({std::move(message), {}});
    pushed++;
  }
  wake_.notify_one();
  return pushed;
}

uint64_t FuseNotifier::pushed() {
  std::lock_guard<std::mutex> lock(mutex_);
  return taken_ + queue_.size();
}

bool FuseNotifier::ReplyBehind(uint64_t number, OwnedBytes& reply) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (number <= taken_ || number > taken_ + queue_.size()) return false;
  queue_[number - taken_ - 1].replies.push_back(std::move(reply));
  return true;
}

void FuseNotifier::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  queue_.clear();
  queued_bytes_ = 0;
  wake_.notify_one();
}

bool FuseNotifier::IsWriting() {
  std::lock_guard<std::mutex> lock(mutex_);
  return writing_;
}

// ENOENT: the kernel does not know the name or inode, so there is nothing to tell it. Any other failure means that the
// connection has ended, which the poll reports, or that there is no memory for pages, which are asked for then.
void FuseNotifier::Write(const OwnedBytes& message) {
  const ssize_t ignored = write(device_->fd, message.data.get(), message.size);
  (void)ignored;
}

void FuseNotifier::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
    if (stopped_) break;
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    taken_++;
    writing_ = true;
    lock.unlock();
    Write(next.message);
    for (const OwnedBytes& reply : next.replies) Write(reply);
    lock.lock();
    queued_bytes_ -= std::min(queued_bytes_, next.message.size);
    writing_ = false;
    if (IsLarge(next.message.size) && spare_.size() < kMaxSpare) spare_.push_back(std::move(next.message));
  }
  lock.unlock();
  device_.reset();
}

}  // namespace yore

#endif
