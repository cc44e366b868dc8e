// Small files that the kernel has in memory: read on the calling thread, because a hop to another one and back takes
// ten times as long as the reading. Nothing here waits for a disk: whatever would, is left to the caller's other way.
//
//   readCached(path, maxBytes)  -> the bytes, or undefined: missing, larger, no plain file, or not in memory

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <algorithm>

#include "addon.h"
#include "file_descriptor.h"
#include "napi_helpers.h"

namespace yore {
namespace {

constexpr uint32_t kMaxBytes = 64 * 1024;

#if defined(__linux__) && defined(SYS_openat2) && defined(RWF_NOWAIT) && defined(O_NOATIME)

// Opens without a look at the disk. O_NOATIME: the time of a first reading is a write, which may wait for the journal.
int OpenCached(const std::string& path) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {O_RDONLY | O_NOFOLLOW | O_NOATIME | O_NONBLOCK | O_CLOEXEC, 0, 0x20 /* RESOLVE_CACHED */};
  return static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how));
}

// Where a server over the network, or another process, cannot keep a stat or a read waiting. (Their opens are refused
// above as a rule: the kernel would have to ask whether the name is still true.)
bool IsLocal(int fd) {
  struct statfs status;
  if (fstatfs(fd, &status) != 0) return false;
  switch (static_cast<uint32_t>(status.f_type)) {
    case 0x0000EF53:  // ext2, ext3, ext4
    case 0x58465342:  // XFS
    case 0x9123683E:  // Btrfs
    case 0xF2F52010:  // F2FS
    case 0x01021994:  // tmpfs
    case 0x794C7630:  // overlayfs, as containers have it
      return true;
    default:
      return false;
  }
}

// The number of bytes; -1 where they cannot be had at once.
ssize_t ReadCached(const std::string& path, uint8_t* into, size_t max_bytes) {
  const FileDescriptor file(OpenCached(path));
  struct stat status;
  if (file.get() < 0 || !IsLocal(file.get()) || fstat(file.get(), &status) != 0) return -1;
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) > max_bytes) return -1;
  iovec part = {into, max_bytes};
  const ssize_t got = preadv2(file.get(), &part, 1, 0, RWF_NOWAIT);
  return got == status.st_size ? got : -1;
}

#else

ssize_t ReadCached(const std::string&, uint8_t*, size_t) { return -1; }

#endif

napi_value Read(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  std::string path;
  uint32_t max_bytes;
  if (!GetPath(env, arguments[0], "path", &path) || !GetUint32(env, arguments[1], "maxBytes", &max_bytes))
    return nullptr;
  uint8_t bytes[kMaxBytes];
  const ssize_t got = ReadCached(path, bytes, std::min(max_bytes, kMaxBytes));
  return got < 0 ? Undefined(env) : MakeBufferCopy(env, bytes, static_cast<size_t>(got));
}

}  // namespace

void RegisterCachedRead(napi_env env, napi_value exports) { ExportFunction(env, exports, "readCached", Read); }

}  // namespace yore
