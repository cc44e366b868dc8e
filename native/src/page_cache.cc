// What is read once only need not stay in the kernel's cache: it pushes out what others use, and memory that is taken anew
// for every byte costs more than reading it (a virtual machine whose host takes free pages back: 1.3 s of processor time a
// GiB against 0.2 with pages that come round again).
// src/native/page-cache-functions.ts says what the functions take and give.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "addon.h"
#include "napi_helpers.h"

namespace yore {
namespace {

// Pages that are looked at, spread over the range.
constexpr size_t kSamples = 16;

struct Range {
  int32_t fd = -1;
  int64_t offset = 0;
  int64_t length = 0;

  bool Read(napi_env env, napi_callback_info info) {
    Arguments<3> arguments(env, info);
    return GetInt32(env, arguments[0], "fd", &fd) &&
           GetInteger(env, arguments[1], "offset", 0, int64_t{1} << 53, &offset) &&
           GetInteger(env, arguments[2], "length", 0, int64_t{1} << 53, &length);
  }
};

#ifdef __linux__
// Of the samples, how many are in the cache. To those who may not write the file the kernel says that all are.
size_t ResidentSamples(const Range& range) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t start = range.offset / page * page;
  const size_t size = static_cast<size_t>(range.offset + range.length - start);
  void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED, range.fd, start);
  if (memory == MAP_FAILED) return kSamples;
  const size_t pages = (size + page - 1) / page;
  size_t resident = 0;
  for (size_t i = 0; i < kSamples; i++) {
    unsigned char state = 1;
    const size_t at = pages * (2 * i + 1) / (2 * kSamples);
    if (mincore(static_cast<char*>(memory) + at * page, page, &state) != 0) state = 1;
    resident += state & 1;
  }
  munmap(memory, size);
  return resident;
}
#endif

napi_value IsCached(napi_env env, napi_callback_info info) {
  Range range;
  if (!range.Read(env, info)) return nullptr;
#ifdef __linux__
  // What was read ahead of the range before is in the cache, and does not count.
  return MakeBool(env, range.length == 0 || ResidentSamples(range) > kSamples / 2);
#else
  return MakeBool(env, true);
#endif
}

napi_value ForgetCached(napi_env env, napi_callback_info info) {
  Range range;
  if (!range.Read(env, info)) return nullptr;
#ifdef POSIX_FADV_DONTNEED
  if (range.length > 0) posix_fadvise(range.fd, range.offset, range.length, POSIX_FADV_DONTNEED);
#endif
  return Undefined(env);
}

}  // namespace

void RegisterPageCache(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "isCached", IsCached);
  ExportFunction(env, exports, "forgetCached", ForgetCached);
}

}  // namespace yore
