#include "body_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addon.h"
#include "handles.h"
#include "napi_helpers.h"

namespace yore {

namespace {

constexpr napi_type_tag kSocketTag = {0x41c7e90b6fd25a38, 0x9de0573f18ab6c42};

// One wait for a socket: lives until libuv has let go of it.
class Wait {
 public:
  static napi_value Begin(napi_env env, std::shared_ptr<BodySocket> socket);

 private:
  Wait(napi_env env, std::shared_ptr<BodySocket> socket) : env_(env), socket_(std::move(socket)) {}
  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data);
  void Resolve();
  void Close();

  napi_env env_;
  std::shared_ptr<BodySocket> socket_;
  uv_poll_t poll_{};
  bool closing_ = false;
  napi_deferred deferred_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

napi_value Wait::Begin(napi_env env, std::shared_ptr<BodySocket> socket) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* wait = new Wait(env, std::move(socket));
  int failure = uv_poll_init(loop, &wait->poll_, wait->socket_->fd);
  if (failure != 0) {
    wait->socket_->busy = false;
    delete wait;
    return ThrowSystemError(env, -failure, "uv_poll_init");
  }
  wait->poll_.data = wait;
  napi_value promise = nullptr;
  failure = uv_poll_start(&wait->poll_, UV_READABLE, OnReadable);
  if (failure == 0 && napi_create_promise(env, &wait->deferred_, &promise) == napi_ok) {
    napi_async_init(env, nullptr, MakeString(env, "yore:socket"), &wait->context_);
    napi_add_async_cleanup_hook(env, OnEnvironmentEnd, wait, &wait->cleanup_);
    return promise;
  }
  wait->Close();
  return failure == 0 ? nullptr : ThrowSystemError(env, -failure, "uv_poll_start");
}

// Also when the connection has failed: reading says how.
void Wait::OnReadable(uv_poll_t* handle, int, int) {
  auto* wait = static_cast<Wait*>(handle->data);
  wait->Close();
  wait->Resolve();
}

void Wait::Resolve() {
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value resource = nullptr;
  napi_callback_scope callbacks = nullptr;
  napi_create_object(env_, &resource);
  napi_open_callback_scope(env_, resource, context_, &callbacks);
  napi_resolve_deferred(env_, deferred_, Undefined(env_));
  deferred_ = nullptr;
  // What waits for the promise runs here.
  if (callbacks != nullptr) napi_close_callback_scope(env_, callbacks);
  napi_close_handle_scope(env_, scope);
}

void Wait::Close() {
  if (closing_) return;
  closing_ = true;
  uv_poll_stop(&poll_);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
  socket_->busy = false;
}

void Wait::OnClosed(uv_handle_t* handle) {
  auto* wait = static_cast<Wait*>(handle->data);
  if (wait->cleanup_ != nullptr) napi_remove_async_cleanup_hook(wait->cleanup_);
  if (wait->context_ != nullptr) napi_async_destroy(wait->env_, wait->context_);
  delete wait;
}

void Wait::OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) { static_cast<Wait*>(data)->Close(); }

napi_value Take(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  int64_t fd;
  if (!GetInteger(env, arguments[0], "fd", 0, INT_MAX, &fd)) return nullptr;
  struct stat status;
  if (fstat(static_cast<int>(fd), &status) != 0) return ThrowSystemError(env, errno, "fstat");
  if (!S_ISSOCK(status.st_mode)) return ThrowSystemError(env, ENOTSOCK, "fstat");
  const int own = fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, 0);
  if (own < 0) return ThrowSystemError(env, errno, "fcntl");
  return MakeHandle(env, std::make_shared<BodySocket>(own), &kSocketTag);
}

napi_value Readable(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto socket = GetBodySocket(env, arguments[0]);
  if (socket == nullptr) return nullptr;
  if (socket->fd < 0) return ThrowSystemError(env, EBADF, "poll");
  if (socket->busy.exchange(true)) return ThrowSystemError(env, EBUSY, "poll");
  return Wait::Begin(env, std::move(socket));
}

napi_value Shutdown(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto socket = GetBodySocket(env, arguments[0]);
  if (socket == nullptr) return nullptr;
  // A connection that is gone has nothing to be shut.
  if (socket->fd >= 0) (void)shutdown(socket->fd, SHUT_RD);
  return Undefined(env);
}

// Takes the descriptor out, -1 the second time. False: an exception is pending.
bool Leave(napi_env env, napi_value handle, int* fd) {
  auto socket = GetBodySocket(env, handle);
  if (socket == nullptr) return false;
  if (socket->busy.exchange(true)) {
    ThrowSystemError(env, EBUSY, "close");
    return false;
  }
  *fd = socket->fd.exchange(-1);
  socket->busy = false;
  return true;
}

napi_value Release(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  int fd = -1;
  if (!Leave(env, arguments[0], &fd)) return nullptr;
  if (fd < 0) return ThrowSystemError(env, EBADF, "close");
  return MakeNumber(env, fd);
}

napi_value Close(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  int fd = -1;
  if (!Leave(env, arguments[0], &fd)) return nullptr;
  if (fd >= 0) close(fd);
  return Undefined(env);
}

}  // namespace

BodySocket::~BodySocket() {
  if (fd >= 0) close(fd);
}

std::shared_ptr<BodySocket> GetBodySocket(napi_env env, napi_value value) {
  return GetHandle<BodySocket>(env, value, "socket", &kSocketTag);
}

void RegisterBodySocket(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "socketTake", Take);
  ExportFunction(env, exports, "socketReadable", Readable);
  ExportFunction(env, exports, "socketShutdown", Shutdown);
  ExportFunction(env, exports, "socketRelease", Release);
  ExportFunction(env, exports, "socketClose", Close);
}

}  // namespace yore
