#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <string>
#include <thread>

#include "addon.h"
#include "napi_helpers.h"

namespace yore {

namespace {

// Node.js joins libuv's threads before it exits, also one that waits for a disk that hangs.
napi_value ExitWithin(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  int32_t code;
  uint32_t patience_ms;
  if (!GetInt32(env, arguments[0], "code", &code) || !GetUint32(env, arguments[1], "patienceMs", &patience_ms))
    return nullptr;
  try {
    std::thread([code, patience_ms] {
      std::this_thread::sleep_for(std::chrono::milliseconds(patience_ms));
      _exit(code);
    }).detach();
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, (std::string("Cannot start a thread: ") + error.what()).c_str());
    return nullptr;
  }
  return Undefined(env);
}

// Of this thread, and so of all that it starts. What a thread does to itself (SIGSEGV) stays as it is.
napi_value BlockSignals(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  bool block;
  if (!GetBool(env, arguments[0], "block", &block)) return nullptr;
  static thread_local unsigned times = 0;
  static thread_local sigset_t before;
  if (block && times++ == 0) {
    sigset_t all;
    sigfillset(&all);
    for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, own);
    pthread_sigmask(SIG_BLOCK, &all, &before);
  } else if (!block && times > 0 && --times == 0) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  return Undefined(env);
}

// 64 KiB is what a pipe holds otherwise, and what the two at its ends can be apart.
napi_value WidenPipe(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  int32_t fd;
  if (!GetInt32(env, arguments[0], "fd", &fd)) return nullptr;
#ifdef F_SETPIPE_SZ
  // What everybody may ask for, as long as not too many do.
  fcntl(fd, F_SETPIPE_SZ, 1024 * 1024);
#endif
  return Undefined(env);
}

}  // namespace

void RegisterProcess(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "blockSignals", BlockSignals);
  ExportFunction(env, exports, "exitWithin", ExitWithin);
  ExportFunction(env, exports, "widenPipe", WidenPipe);
}

}  // namespace yore
