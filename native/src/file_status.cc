#include "file_status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#ifdef __linux__
#include <sys/xattr.h>
#endif

#include "open_beneath.h"

namespace yore {

namespace {

int CurrentError(int result) { return result == 0 ? 0 : errno; }

#ifdef __linux__
// A path for the calls that take no directory descriptor. The last component is the name itself, which the l* calls do
// not follow; the way to it goes through the descriptor, which nobody can swap.
std::string PathOf(int directory, const std::string& name) {
  return "/proc/self/fd/" + std::to_string(directory) + "/" + name;
}

bool XattrUnsupported(int error) { return error == ENOTSUP || error == EOPNOTSUPP; }

int ListXattrs(const std::string& path, std::string* names) {
  for (;;) {
    const ssize_t size = llistxattr(path.c_str(), nullptr, 0);
    if (size < 0) return errno;
    names->resize(static_cast<size_t>(size));
    if (size == 0) return 0;
    const ssize_t got = llistxattr(path.c_str(), names->data(), names->size());
    if (got >= 0) {
      names->resize(static_cast<size_t>(got));
      return 0;
    }
    if (errno != ERANGE) return errno;
  }
}
#endif

}  // namespace

// chmod(2) follows links and fchmodat(2) has no flag against it that works everywhere: pin the file first.
int ChangeMode(int directory, const std::string& name, mode_t mode) {
#ifdef __linux__
  FileDescriptor file(openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (file.get() < 0) return errno;
  struct stat status;
  if (fstat(file.get(), &status) != 0) return errno;
  if (S_ISLNK(status.st_mode)) return 0;
  return CurrentError(chmod(("/proc/self/fd/" + std::to_string(file.get())).c_str(), mode));
#else
  return CurrentError(fchmodat(directory, name.c_str(), mode, AT_SYMLINK_NOFOLLOW));
#endif
}

#ifdef __linux__
int SetXattr(int directory, const std::string& name, Bytes attribute) {
  const void* end = memchr(attribute.data, 0, attribute.size);
  if (end == nullptr) return EINVAL;
  const size_t name_size = static_cast<size_t>(static_cast<const uint8_t*>(end) - attribute.data);
  const std::string attribute_name(reinterpret_cast<const char*>(attribute.data), name_size);
  const uint8_t* value = attribute.data + name_size + 1;
  const size_t value_size = attribute.size - name_size - 1;
  return CurrentError(lsetxattr(PathOf(directory, name).c_str(), attribute_name.c_str(), value, value_size, 0));
}

int KeepXattrs(int directory, const std::string& name, const std::string& names) {
  const std::string path = PathOf(directory, name);
  std::string present;
  const int list_error = ListXattrs(path, &present);
  if (list_error != 0) return XattrUnsupported(list_error) ? 0 : list_error;
  const std::string keep = std::string(1, '\0') + names;
  int first_error = 0;
  for (size_t at = 0; at < present.size();) {
    const std::string attribute = present.c_str() + at;
    at += attribute.size() + 1;
    if (keep.find('\0' + attribute + '\0') != std::string::npos) continue;
    if (lremovexattr(path.c_str(), attribute.c_str()) != 0 && errno != ENODATA && first_error == 0) first_error = errno;
  }
  return first_error;
}
#else
int SetXattr(int, const std::string&, Bytes) { return ENOTSUP; }
int KeepXattrs(int, const std::string&, const std::string&) { return 0; }
#endif

int ListXattrNames(const std::string& path, std::string* names) {
#ifdef __linux__
  const int error = ListXattrs(path, names);
  return XattrUnsupported(error) ? 0 : error;
#else
  return 0;
#endif
}

}  // namespace yore
