#include "fuse_channel.h"

#ifdef __linux__

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace yore {

namespace {

// fuse_in_header: len u32, opcode u32, unique u64, ...
constexpr size_t kInHeaderBytes = 40;
// The kernel refuses to read into less (FUSE_MIN_READ_BUFFER).
constexpr uint32_t kMinSlotBytes = 8192;
constexpr uint32_t kOpForget = 2, kOpInterrupt = 36, kOpBatchForget = 42;
constexpr uint32_t kOpGetxattr = 22, kOpListxattr = 23;
// fuse_in_header: ..., nodeid u64; behind it fuse_getxattr_in: size u32, padding u32.
constexpr size_t kNodeAt = 16, kSizeAt = 40, kGetxattrInEnd = 48;
// So many requests are answered here before JavaScript has its turn: it looks after where both sides run, and must not wait
// for as long as somebody asks.
constexpr uint32_t kMaxQuiet = 64;

// fuse_out_header, then fuse_notify_store_out: nodeid u64, offset u64, size u32, padding u32.
constexpr size_t kStoreBytes = kFuseOutHeaderBytes + 24;
constexpr int32_t kNotifyStore = 4;
// Of content that waits to be stored.
constexpr size_t kMaxStoredBytes = size_t{4} << 20;
// Pushed together: a thread that is woken for each small file goes to sleep before the next one comes.
constexpr size_t kBatchBytes = size_t{128} << 10;

// That a callback gets.
constexpr size_t kMaxNumbers = 4;

constexpr napi_type_tag kChannelTag = {0x6b1f3a5d9c2e4f70ULL, 0xa1d87e5540c94b36ULL};

}  // namespace

// --- Channel: life ----------------------------------------------------------------------------------------------

napi_value FuseChannel::Create(napi_env env, int fd) {
  auto* channel = new FuseChannel(fd);
  napi_value value = nullptr;
  if (napi_create_external(env, channel, OnFinalize, nullptr, &value) != napi_ok) {
    channel->Release();
    return nullptr;
  }
  napi_type_tag_object(env, value, &kChannelTag);
  return value;
}

FuseChannel* FuseChannel::From(napi_env env, napi_value value) {
  bool is_channel = false;
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type == napi_external) napi_check_object_type_tag(env, value, &kChannelTag, &is_channel);
  void* data = nullptr;
  if (!is_channel || napi_get_value_external(env, value, &data) != napi_ok) {
    ThrowType(env, "channel", "a channel of fuseMount");
    return nullptr;
  }
  return static_cast<FuseChannel*>(data);
}

void FuseChannel::OnFinalize(napi_env, void* data, void*) {
  auto* channel = static_cast<FuseChannel*>(data);
  // While polling there is a strong reference to the value: it is finalized then only when the environment ends,
  // after the clean-up hook. What remains to be closed here is a channel that was never started.
  channel->device_.reset();
  channel->Release();
}

void FuseChannel::Release() {
  if (--owners_ == 0) delete this;
}

napi_value FuseChannel::Start(napi_env env, napi_value self, napi_value requests, uint32_t slot_bytes,
                              napi_value replies, napi_value on_requests, napi_value on_end) {
  Bytes request_bytes, reply_bytes;
  if (!GetBytes(env, requests, "requests", &request_bytes)) return nullptr;
  if (!GetBytes(env, replies, "replies", &reply_bytes)) return nullptr;
  if (slot_bytes < kMinSlotBytes || request_bytes.size < slot_bytes) {
    ThrowRange(env, "slotBytes", "at least 8192 bytes, and one slot in \"requests\"");
    return nullptr;
  }
  if (reply_bytes.size < kFuseOutHeaderBytes) {
    ThrowRange(env, "replies", "at least 16 bytes");
    return nullptr;
  }
  for (napi_value callback : {on_requests, on_end}) {
    napi_valuetype type = napi_undefined;
    napi_typeof(env, callback, &type);
    if (type == napi_function) continue;
    ThrowType(env, "callback", "a function");
    return nullptr;
  }
  if (polling_ || !references_.empty()) {
    napi_throw_error(env, "ERR_FUSE_STARTED", "The channel has been started already");
    return nullptr;
  }

  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  int failure = uv_poll_init(loop, &poll_, device_->fd);
  if (failure != 0) return ThrowSystemError(env, -failure, "uv_poll_init");
  poll_.data = this;
  polling_ = true;
  owners_++;
  env_ = env;
  napi_async_init(env, nullptr, MakeString(env, "yore:fuse"), &context_);
  for (napi_value value : {self, requests, replies, on_requests, on_end}) {
    napi_ref reference = nullptr;
    napi_create_reference(env, value, 1, &reference);
    references_.push_back(reference);
  }
  on_requests_ = references_[3];
  on_end_ = references_[4];
  requests_ = request_bytes.data;
  slot_bytes_ = slot_bytes;
  slots_ = request_bytes.size / slot_bytes;
  replies_ = reply_bytes.data;
  replies_size_ = reply_bytes.size;
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, this, &cleanup_);
  failure = uv_poll_start(&poll_, UV_READABLE, OnReadable);
  if (failure != 0) {
    Close();
    return ThrowSystemError(env, -failure, "uv_poll_start");
  }
  return Undefined(env);
}

void FuseChannel::Close() {
  if (!device_) return;
  for (auto& notifier : {notifier_, storer_}) {
    if (notifier) notifier->Stop();
  }
  AnswerEverything();
  notifier_.reset();
  storer_.reset();
  if (polling_) {
    polling_ = false;
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnPollClosed);
    DropReferences();
  }
  device_.reset();
}

// Closing the descriptor would fail all requests in the kernel, were it not for a notification that waits for a lock: its
// write(2) holds the device open, and the holder of the lock waits for a reply. So everything is answered first: what
// JavaScript has taken and will not answer any more, and, until that write has come back, what the kernel sends still.
void FuseChannel::AnswerEverything() {
  for (uint64_t unique : unanswered_) Refuse(unique);
  unanswered_.clear();
  const auto is_writing = [this] {
    return (notifier_ && notifier_->IsWriting()) || (storer_ && storer_->IsWriting());
  };
  std::vector<uint8_t> request(kMinSlotBytes);
  for (int waited_ms = 0; waited_ms < 2000 && is_writing(); waited_ms++) {
    ssize_t length = read(device_->fd, request.data(), request.size());
    if (length < static_cast<ssize_t>(kInHeaderBytes)) {
      usleep(1000);
      continue;
    }
    Track(request.data());
    for (uint64_t unique : unanswered_) Refuse(unique);
    unanswered_.clear();
  }
}

void FuseChannel::Refuse(uint64_t unique) {
  uint8_t reply[kFuseOutHeaderBytes];
  const uint32_t length = kFuseOutHeaderBytes;
  const int32_t error = -ENOTCONN;
  memcpy(reply, &length, 4);
  memcpy(reply + 4, &error, 4);
  memcpy(reply + 8, &unique, 8);
  ssize_t ignored = write(device_->fd, reply, sizeof reply);
  (void)ignored;
}

void FuseChannel::DropReferences() {
  for (napi_ref reference : references_) napi_delete_reference(env_, reference);
  references_.clear();
  on_requests_ = nullptr;
  on_end_ = nullptr;
  requests_ = nullptr;
  replies_ = nullptr;
  replies_size_ = 0;
  if (context_ != nullptr) napi_async_destroy(env_, context_);
  context_ = nullptr;
}

void FuseChannel::OnPollClosed(uv_handle_t* handle) {
  auto* channel = static_cast<FuseChannel*>(handle->data);
  if (channel->cleanup_ != nullptr) napi_remove_async_cleanup_hook(channel->cleanup_);
  channel->cleanup_ = nullptr;
  channel->Release();
}

void FuseChannel::OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  // When the channel is closed already, its handle is just being closed, and OnPollClosed removes the hook.
  static_cast<FuseChannel*>(data)->Close();
}

// --- Channel: requests ------------------------------------------------------------------------------------------

// Reads what is there into the slots, one request each; what is prepared for is answered. `end` becomes the errno that
// ended the connection, `is_wanted` says whether JavaScript has anything to do.
uint32_t FuseChannel::ReadRequests(int* end, bool* is_wanted) {
  uint32_t count = 0;
  while (count < slots_ && quiet_ < kMaxQuiet) {
    uint8_t* request = requests_ + count * slot_bytes_;
    ssize_t length = read(device_->fd, request, slot_bytes_);
    if (length >= static_cast<ssize_t>(kInHeaderBytes)) {
      const auto outcome = prepared_.Answer(device_->fd, storer_.get(), request, static_cast<size_t>(length));
      if (outcome == PreparedReplies::Outcome::kAnswered) *is_wanted = true;
      if (outcome != PreparedReplies::Outcome::kUnknown) continue;
      if (AnswerPlain(request, static_cast<size_t>(length))) continue;
      *is_wanted = true;
      Track(request);
      count++;
    } else if (length >= 0) {
      *end = EPROTO;
      break;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR && errno != ENOENT) {  // ENOENT: the request was aborted while it was read.
      *end = errno;
      break;
    }
  }
  return count;
}

// Answers who asks for the extended attributes of a node that has none.
bool FuseChannel::AnswerPlain(const uint8_t* request, size_t length) {
  uint32_t opcode, size;
  uint64_t node;
  memcpy(&opcode, request + 4, sizeof opcode);
  if ((opcode != kOpGetxattr && opcode != kOpListxattr) || length < kGetxattrInEnd) return false;
  memcpy(&node, request + kNodeAt, sizeof node);
  if (!plain_.Has(node)) return false;
  memcpy(&size, request + kSizeAt, sizeof size);
  // fuse_getxattr_out, whose size is 0, for who asks how long the list is.
  uint8_t reply[kFuseOutHeaderBytes + 8] = {};
  const uint32_t total = kFuseOutHeaderBytes + (opcode == kOpListxattr && size == 0 ? 8 : 0);
  const int32_t error = opcode == kOpGetxattr ? -ENODATA : 0;
  memcpy(reply, &total, sizeof total);
  memcpy(reply + 4, &error, sizeof error);
  memcpy(reply + 8, request + 8, 8);
  // ENOENT: the request was aborted meanwhile.
  if (write(device_->fd, reply, total) < 0 && errno != ENOENT) return false;
  quiet_++;
  return true;
}

// Remembers that a request wants a reply, if it does.
void FuseChannel::Track(const uint8_t* request) {
  uint32_t opcode;
  uint64_t unique;
  memcpy(&opcode, request + 4, sizeof opcode);
  memcpy(&unique, request + 8, sizeof unique);
  if (opcode != kOpForget && opcode != kOpBatchForget && opcode != kOpInterrupt) unanswered_.insert(unique);
}

void FuseChannel::OnReadable(uv_poll_t* handle, int status, int) {
  auto* channel = static_cast<FuseChannel*>(handle->data);
  channel->owners_++;  // A callback may close the channel.
  int end = 0;
  bool is_wanted = false;
  uint32_t count = channel->ReadRequests(&end, &is_wanted);
  if (is_wanted || channel->quiet_ >= kMaxQuiet) {
    const uint32_t answered = channel->prepared_.TakeAnswered(), refused = channel->prepared_.TakeRefused();
    channel->Call(channel->on_requests_, {count, answered, refused, std::exchange(channel->quiet_, 0)});
  }
  // libuv reports POLLERR, the end of the connection, as a failure; the read above has normally said ENODEV already.
  if (end == 0 && status < 0 && count == 0) end = ENODEV;
  if (end != 0 && channel->polling_) {
    uv_poll_stop(&channel->poll_);
    channel->Call(channel->on_end_, {static_cast<uint32_t>(end)});
  }
  channel->Release();
}

void FuseChannel::Call(napi_ref callback, std::initializer_list<uint32_t> numbers) {
  napi_env env = env_;
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value function = nullptr, receiver = nullptr;
  napi_get_reference_value(env, callback, &function);
  napi_get_global(env, &receiver);
  napi_value arguments[kMaxNumbers];
  size_t count = 0;
  for (uint32_t number : numbers) arguments[count++] = MakeUint32(env, number);
  if (napi_make_callback(env, context_, receiver, function, count, arguments, nullptr) == napi_pending_exception) {
    napi_value exception = nullptr;
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
  }
  napi_close_handle_scope(env, scope);
}

// --- Channel: replies -------------------------------------------------------------------------------------------

int FuseChannel::Reply(size_t length) { return Sent(write(device_->fd, replies_, length)); }

int FuseChannel::ReplyWithPieces(size_t head_length, std::vector<struct iovec>& pieces) {
  pieces[0] = {replies_, head_length};
  return Sent(writev(device_->fd, pieces.data(), static_cast<int>(pieces.size())));
}

// The errno of a reply that was written. One that was refused still leaves its caller waiting.
int FuseChannel::Sent(ssize_t written) {
  int error = written < 0 ? errno : 0;
  if (error != 0 && error != ENOENT) return error;
  uint64_t unique;
  memcpy(&unique, replies_ + 8, sizeof unique);
  unanswered_.erase(unique);
  return error;
}

// --- Channel: notifications -------------------------------------------------------------------------------------

void FuseChannel::Notify(Bytes message) {
  if (!notifier_) notifier_ = FuseNotifier::Start(device_, SIZE_MAX);
  OwnedBytes copy = notifier_->Room(message.size);
  memcpy(copy.data.get(), message.data, message.size);
  notifier_->Push(std::move(copy));
}

OwnedBytes FuseChannel::Encode(const StoredContent& content) {
  OwnedBytes message = storer_->Room(kStoreBytes + content.size);
  uint8_t* head = message.data.get();
  const auto total = static_cast<uint32_t>(message.size), length = static_cast<uint32_t>(content.size);
  memset(head, 0, kStoreBytes);
  memcpy(head, &total, sizeof total);
  memcpy(head + 4, &kNotifyStore, sizeof kNotifyStore);
  memcpy(head + kFuseOutHeaderBytes, &content.node, sizeof content.node);
  memcpy(head + kFuseOutHeaderBytes + 8, &content.offset, sizeof content.offset);
  memcpy(head + kFuseOutHeaderBytes + 16, &length, sizeof length);
  if (content.size > 0) memcpy(head + kStoreBytes, content.data, content.size);
  return message;
}

void FuseChannel::StartStorer() {
  if (!storer_) storer_ = FuseNotifier::Start(device_, kMaxStoredBytes);
}

size_t FuseChannel::Store(const std::vector<StoredContent>& contents) {
  StartStorer();
  size_t stored = 0, batch_bytes = 0;
  std::vector<OwnedBytes> batch;
  for (const StoredContent& content : contents) {
    // Asked before it is copied: copying what does not fit took 1.5 of 5 s while a large file was read at random.
    if (!storer_->Fits(batch_bytes + kStoreBytes + content.size)) break;
    batch.push_back(Encode(content));
    batch_bytes += batch.back().size;
    if (batch_bytes < kBatchBytes) continue;
    stored += storer_->PushFitting(std::exchange(batch, {}));
    batch_bytes = 0;
  }
  return batch.empty() ? stored : stored + storer_->PushFitting(std::move(batch));
}

void FuseChannel::Prepare(uint32_t slot, uint64_t node, uint32_t size, const uint8_t* body, size_t length, uint64_t end,
                          const std::vector<StoredContent>& contents) {
  std::vector<OwnedBytes> messages;
  messages.reserve(contents.size());
  if (!contents.empty()) StartStorer();
  for (const StoredContent& content : contents) messages.push_back(Encode(content));
  prepared_.Put(slot, node, size, body, length, end, std::move(messages));
}

}  // namespace yore

#endif
