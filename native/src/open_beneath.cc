#include "open_beneath.h"

#include <errno.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

namespace yore {

bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

int OpenBeneath(int root, const std::string& path, int flags, mode_t mode) {
  if (path.find('\0') != std::string::npos) {
    errno = EINVAL;
    return -1;
  }
  const std::string from_root = path.empty() ? "." : path;
#if defined(__linux__) && defined(SYS_openat2)
  struct {
    uint64_t flags, mode, resolve;
  } how = {static_cast<uint64_t>(flags | O_CLOEXEC), static_cast<uint64_t>(mode),
           0x04 /* RESOLVE_NO_SYMLINKS */ | 0x08 /* RESOLVE_BENEATH */};
  // EAGAIN: something was renamed meanwhile, so that beneath could not be told.
  for (int attempt = 0; attempt < 16; attempt++) {
    const long fd = syscall(SYS_openat2, root, from_root.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EAGAIN && errno != EINTR) break;
  }
  // ENOSYS: a kernel before 5.6; EPERM: a sandbox that does not know the call.
  if (errno != ENOSYS && errno != EPERM) return -1;
#endif
  FileDescriptor at(openat(root, ".", kEnter));
  size_t begin = 0;
  while (at.get() >= 0) {
    const size_t end = from_root.find('/', begin);
    const std::string name = from_root.substr(begin, end == std::string::npos ? end : end - begin);
    const bool last = end == std::string::npos;
    if (name == "..") {
      errno = EXDEV;
      return -1;
    }
    if (last) return openat(at.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode);
    at.Reset(openat(at.get(), name.c_str(), kEnter | O_NOFOLLOW));
    begin = end + 1;
  }
  return -1;
}

int OpenBeneathRoot(const std::string& root_path, const std::string& path, int flags, mode_t mode) {
  FileDescriptor root(open(root_path.c_str(), kEnter));
  return root.get() < 0 ? -1 : OpenBeneath(root.get(), path, flags, mode);
}

}  // namespace yore
