// What is read once only need not stay in the kernel's cache: it pushes out what others use, and memory that is taken anew
// for every byte costs more than reading it (a virtual machine whose host takes free pages back: 1.3 s of processor time a
// GiB against 0.2 with pages that come round again).
// Ranges of some size are better read past it, straight into memory that is used again: no page is taken, none is copied.
// A `cp` of 2 GiB out of the mount took 7.2 s with, and 2.9 s without (virtual machine as above, cold).
// src/native/page-cache-functions.ts says what the functions take and give.

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "addon.h"
#include "file_descriptor.h"
#include "napi_helpers.h"
#include "thread_pool.h"

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
    return GetInt32(env, arguments[0], "fd", &fd) && ReadPlace(env, arguments[1], arguments[2]);
  }

  bool ReadPlace(napi_env env, napi_value offset_value, napi_value length_value) {
    return GetInteger(env, offset_value, "offset", 0, int64_t{1} << 53, &offset) &&
           GetInteger(env, length_value, "length", 0, int64_t{1} << 53, &length);
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

bool IsResident(const Range& range) {
#ifdef __linux__
  // What was read ahead of the range before is in the cache, and does not count.
  return range.length == 0 || ResidentSamples(range) > kSamples / 2;
#else
  (void)range;
  return true;
#endif
}

void Forget(const Range& range) {
#ifdef POSIX_FADV_DONTNEED
  if (range.length > 0) posix_fadvise(range.fd, range.offset, range.length, POSIX_FADV_DONTNEED);
#else
  (void)range;
#endif
}

napi_value IsCached(napi_env env, napi_callback_info info) {
  Range range;
  return range.Read(env, info) ? MakeBool(env, IsResident(range)) : nullptr;
}

napi_value ForgetCached(napi_env env, napi_callback_info info) {
  Range range;
  if (!range.Read(env, info)) return nullptr;
  Forget(range);
  return Undefined(env);
}

#ifdef O_DIRECT
// Disks and file systems want offsets, lengths and memory in multiples of their blocks: no more than this.
constexpr size_t kDirectAlignment = 4096;

size_t RoundUp(size_t size) { return (size + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment; }

// Where in the memory the range begins; -1 where the file system cannot, or the file ends before it does.
int64_t ReadAround(const Range& range, Bytes into) {
  const size_t before = static_cast<size_t>(range.offset) % kDirectAlignment;
  const size_t wanted = before + static_cast<size_t>(range.length);
  const size_t start = RoundUp(reinterpret_cast<uintptr_t>(into.data)) - reinterpret_cast<uintptr_t>(into.data);
  if (start + RoundUp(wanted) > into.size) return -1;
  const int flags = fcntl(range.fd, F_GETFL);
  if (flags < 0 || fcntl(range.fd, F_SETFL, flags | O_DIRECT) != 0) return -1;
  size_t got = 0;
  while (got < wanted && got % kDirectAlignment == 0) {
    const ssize_t count = pread(range.fd, into.data + start + got, RoundUp(wanted) - got,
                                range.offset - static_cast<int64_t>(before) + static_cast<int64_t>(got));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    got += static_cast<size_t>(count);
  }
  fcntl(range.fd, F_SETFL, flags);
  return got >= wanted ? static_cast<int64_t>(start + before) : -1;
}
#else
int64_t ReadAround(const Range&, Bytes) { return -1; }
#endif

// A range of a file by its name, in one hop: 30 to 50 us for 16 KiB in the cache, where opening, reading and closing it by
// Node.js in three takes 115 to 135, and the main thread has to be there each time.
class ReadRangeTask final : public Task {
 public:
  std::string path;
  Range range;
  Bytes into;
  bool is_direct = false;
  bool is_forgotten = false;

  void Execute() override {
    // A pipe that lies there is not waited for.
    const FileDescriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.get() < 0) return;
    range.fd = file.get();
    const bool is_passing = (is_direct || is_forgotten) && !IsResident(range);
    if (is_passing && is_direct) place_ = ReadAround(range, into);
    if (place_ >= 0) return;
    if (ReadThrough()) place_ = 0;
    if (is_passing && is_forgotten) Forget(range);
  }
  napi_value Complete(napi_env env) override { return MakeNumber(env, static_cast<double>(place_)); }

 private:
  bool ReadThrough() const {
    const auto wanted = static_cast<size_t>(range.length);
    size_t got = 0;
    while (got < wanted) {
      const ssize_t count =
          pread(range.fd, into.data + got, wanted - got, range.offset + static_cast<int64_t>(got));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      got += static_cast<size_t>(count);
    }
    return true;
  }

  int64_t place_ = -1;
};

napi_value ReadRange(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  auto task = std::make_unique<ReadRangeTask>();
  Range& range = task->range;
  if (!GetPath(env, arguments[0], "path", &task->path) || !range.ReadPlace(env, arguments[1], arguments[2]) ||
      !GetBytes(env, arguments[3], "into", &task->into) ||
      !GetBool(env, arguments[4], "isDirect", &task->is_direct) ||
      !GetBool(env, arguments[5], "isForgotten", &task->is_forgotten) || !task->Hold(env, arguments[3]))
    return Abandon(env, std::move(task));
  if (task->into.size < static_cast<uint64_t>(range.length)) {
    ThrowRange(env, "into", "room for the range");
    return Abandon(env, std::move(task));
  }
  return Submit(env, std::move(task), Lane::kBlocking);
}

}  // namespace

void RegisterPageCache(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "isCached", IsCached);
  ExportFunction(env, exports, "forgetCached", ForgetCached);
  ExportFunction(env, exports, "readRange", ReadRange);
}

}  // namespace yore
