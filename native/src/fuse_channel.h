// The way between /dev/fuse and JavaScript. Flat verbs over one opaque handle, the channel: a mounted, open descriptor
// of /dev/fuse. C++ moves bytes and knows of the protocol the header of a reply and which question a prepared reply
// answers; requests are decoded and replies encoded in src/fuse.
//
//   fuseMount / fuseMountWithHelper  -> channel        (on a pool thread)
//   fuseStart(channel, ...)             polls the descriptor in the event loop; requests arrive in one shared buffer
//   fuseReply / fuseReplyWithPieces     one write(2) on the JavaScript thread, its errno returned
//   fusePrepare / fuseWithdraw          the next reply to a question that will be asked
//   fuseNotify                          one write(2) on a thread of its own, see fuse_notifier.h
//   fuseStore                           content for the kernel's page cache, on another such thread
//   fusePlain                           nodes without extended attributes, of which JavaScript is not asked
//   fuseClose                           ends the connection; the kernel fails what is pending with ENOTCONN
//
// Why no reader thread: a hop over uv_async costs 8 us a request, and a process whose reader thread has taken a
// request that the JavaScript thread itself waits for cannot even be killed.
#pragma once

#include <node_api.h>
#include <sys/types.h>
#include <uv.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <unordered_set>
#include <vector>

#include "fuse_notifier.h"
#include "napi_helpers.h"
#include "plain_nodes.h"
#include "prepared_replies.h"

namespace yore {

// Content of a file.
struct StoredContent {
  uint64_t node;
  uint64_t offset;
  const uint8_t* data;
  size_t size;
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
  // Copies.
  void Notify(Bytes message);
  // Copies as many as there is room for. Returns how many that were.
  size_t Store(const std::vector<StoredContent>& contents);
  // See PreparedReplies.
  void Prepare(uint32_t slot, uint64_t node, uint32_t size, const uint8_t* body, size_t length, uint64_t end,
               const std::vector<StoredContent>& contents);
  PreparedReplies::Left Withdraw(uint32_t slot) { return prepared_.Withdraw(slot); }
  // See PlainNodes.
  void AddPlain(uint64_t node) { plain_.Add(node); }
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
  bool AnswerPlain(const uint8_t* request, size_t length);
  void Track(const uint8_t* request);
  int Sent(ssize_t written);
  void Call(napi_ref callback, std::initializer_list<uint32_t> numbers);
  void StartStorer();
  // The notification that stores a content, in memory of the storer, which is there.
  OwnedBytes Encode(const StoredContent& content);
  void AnswerEverything();
  void Refuse(uint64_t unique);
  void DropReferences();
  void Release();

  std::shared_ptr<FuseDevice> device_;
  std::shared_ptr<FuseNotifier> notifier_;
  // Content has a thread of its own: it may wait for a page, and an invalidation must not wait behind it.
  std::shared_ptr<FuseNotifier> storer_;
  PreparedReplies prepared_;
  PlainNodes plain_;
  // Requests that were answered here since JavaScript was last called.
  uint32_t quiet_ = 0;
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
