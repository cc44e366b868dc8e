// The way between /dev/fuse and JavaScript. Flat verbs over one opaque handle, the channel: a mounted, open descriptor
// of /dev/fuse. C++ moves bytes and knows of the protocol the header of a reply and which question a prepared reply
// answers; requests are decoded and replies encoded in src/fuse.
//
//   fuseMount / fuseMountWithHelper  -> channel        (on a pool thread)
//   fuseStart(channel, ...)             polls the descriptor in the event loop; requests arrive in one shared buffer
//   fuseReply / fuseReplyWithPieces     one write(2) on the JavaScript thread, its errno returned
//   fusePrepare / fuseWithdraw          the next reply to a question that will be asked
//   fuseNotify                          one write(2) on a thread of its own, see Notifier
//   fuseClose                           ends the connection; the kernel fails what is pending with ENOTCONN
//
// Why no reader thread: a hop over uv_async costs 8 us a request, and a process whose reader thread has taken a
// request that the JavaScript thread itself waits for cannot even be killed.
#pragma once

#include <node_api.h>
#include <sys/types.h>
#include <uv.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "prepared_replies.h"

namespace yore {

// An open /dev/fuse. Closed when its last owner (channel, notifier thread) is gone.
struct FuseDevice {
  explicit FuseDevice(int descriptor) : fd(descriptor) {}
  FuseDevice(const FuseDevice&) = delete;
  FuseDevice& operator=(const FuseDevice&) = delete;
  ~FuseDevice();
  const int fd;
};

// Writes notifications. The kernel takes the lock of the directory (or of pages) for them and so may have to wait for
// a reply that only the JavaScript thread can give: such a write on that thread would never come back.
class FuseNotifier {
 public:
  explicit FuseNotifier(std::shared_ptr<FuseDevice> device) : device_(std::move(device)) {}
  // Runs the thread; it keeps the notifier alive.
  static void Start(const std::shared_ptr<FuseNotifier>& notifier);
  void Push(std::vector<uint8_t> message);
  // No more writes are begun afterwards.
  void Stop();
  bool IsWriting();

 private:
  void Run();
  std::shared_ptr<FuseDevice> device_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::vector<uint8_t>> queue_;
  bool stopped_ = false;
  bool writing_ = false;
};

class FuseChannel {
 public:
  // The external value that JavaScript holds; nullptr when an exception is pending.
  static napi_value Create(napi_env env, int fd);
  // nullptr when an exception is pending.
  static FuseChannel* From(napi_env env, napi_value value);

  napi_value Start(napi_env env, napi_value self, napi_value requests, uint32_t slot_bytes, napi_value replies,
                   napi_value on_requests, napi_value on_end);
  // Both return the errno of the write, 0 when the kernel took the reply.
  int Reply(size_t length);
  int ReplyWithPieces(size_t head_length, std::vector<struct iovec>& pieces);
  void Notify(std::vector<uint8_t> message);
  PreparedReplies& prepared() { return prepared_; }
  void Close();

  size_t reply_capacity() const { return replies_size_; }
  bool is_open() const { return device_ != nullptr; }

 private:
  explicit FuseChannel(int fd) : device_(std::make_shared<FuseDevice>(fd)) {}
  ~FuseChannel() = default;
  static void OnFinalize(napi_env env, void* data, void* hint);
  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnPollClosed(uv_handle_t* handle);
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data);
  uint32_t ReadRequests(int* end, bool* is_wanted);
  void Track(const uint8_t* request);
  int Sent(ssize_t written);
  void Call(napi_ref callback, std::initializer_list<uint32_t> numbers);
  void AnswerEverything();
  void Refuse(uint64_t unique);
  void DropReferences();
  void Release();

  std::shared_ptr<FuseDevice> device_;
  std::shared_ptr<FuseNotifier> notifier_;
  PreparedReplies prepared_;
  // `unique` of each request that was handed to JavaScript and wants a reply still.
  std::unordered_set<uint64_t> unanswered_;
  // Owners of this object: the external value, the poll handle, a callback that is running.
  int owners_ = 1;

  napi_env env_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  uv_poll_t poll_{};
  bool polling_ = false;
  // While polling: the channel itself, both buffers, both callbacks.
  std::vector<napi_ref> references_;
  napi_ref on_requests_ = nullptr;
  napi_ref on_end_ = nullptr;
  uint8_t* requests_ = nullptr;
  size_t slot_bytes_ = 0;
  size_t slots_ = 0;
  uint8_t* replies_ = nullptr;
  size_t replies_size_ = 0;
};

}  // namespace yore
