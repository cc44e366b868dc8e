// Where the calling thread runs. A program that waits for each answer and its server take turns; on two processors each
// turn wakes one that sleeps, which costs several times what the answer does (40 us in a virtual machine, against 7 us on
// one processor). TypeScript decides when (src/fuse/placement.ts).

#include "placement.h"

#if defined(__linux__)

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "napi_helpers.h"

namespace yore {

namespace {

// Of the process, as it was started.
const cpu_set_t& AllowedProcessors() {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(getpid(), sizeof set, &set) != 0) CPU_ZERO(&set);
    return set;
  }();
  return allowed;
}

// The processor that a thread ran on last, the 39th field of its stat; -1 when it cannot be told.
int ProcessorOf(uint32_t pid) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char text[1024];
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return -1;
  text[length] = '\0';
  // The second field is a name in parentheses, which may hold anything.
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 39; field++) at = strchr(at + 1, ' ');
  return at == nullptr ? -1 : atoi(at + 1);
}

napi_value FollowThread(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  uint32_t pid;
  if (!GetUint32(env, arguments[0], "pid", &pid)) return nullptr;
  const int processor = ProcessorOf(pid);
  if (processor < 0 || processor >= CPU_SETSIZE || !CPU_ISSET(processor, &AllowedProcessors()))
    return MakeBool(env, false);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return MakeBool(env, sched_setaffinity(0, sizeof set, &set) == 0);
}

napi_value RunAnywhere(napi_env env, napi_callback_info) {
  ReleaseThread();
  return Undefined(env);
}

}  // namespace

void ReleaseThread() {
  const cpu_set_t& allowed = AllowedProcessors();
  if (CPU_COUNT(&allowed) > 0) sched_setaffinity(0, sizeof allowed, &allowed);
}

void RegisterPlacement(napi_env env, napi_value exports) {
  AllowedProcessors();
  ExportFunction(env, exports, "followThread", FollowThread);
  ExportFunction(env, exports, "runAnywhere", RunAnywhere);
}

}  // namespace yore

#else

namespace yore {

void ReleaseThread() {}
void RegisterPlacement(napi_env, napi_value) {}

}  // namespace yore

#endif
