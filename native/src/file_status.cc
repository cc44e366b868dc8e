#include "file_status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <sys/xattr.h>
#endif

#include "file_descriptor.h"
#include "open_beneath.h"

namespace yore {

namespace {

int CurrentError(int result) { return result == 0 ? 0 : errno; }

#ifdef __linux__
// Opens a file or directory, for what without /proc is only to be had of an open one. ENOSYS for all else: links cannot be
// opened, and to open a device or a fifo may do something.
int OpenPlain(int directory, const std::string& name) {
  struct stat status;
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return -1;
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    errno = ENOSYS;
    return -1;
  }
  // Whatever has taken its place meanwhile is neither followed nor waited for.
  return openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

// A name whose extended attributes are meant: by a path whose last component is the name itself, which the l* calls do not
// follow, while the way to it goes through the descriptor, which nobody can swap. Without /proc it is an open file.
class XattrPlace {
 public:
  explicit XattrPlace(std::string path) : path_(std::move(path)) {}
  XattrPlace(int directory, const std::string& name)
      : path_("/proc/self/fd/" + std::to_string(directory) + "/" + name),
        file_(HasProc() ? -1 : OpenPlain(directory, name)),
        error_(HasProc() || file_.get() >= 0 ? 0 : errno) {}

  // An errno; to be asked first.
  int error() const { return error_; }
  ssize_t List(char* into, size_t size) const {
    return file_.get() < 0 ? llistxattr(path_.c_str(), into, size) : flistxattr(file_.get(), into, size);
  }
  bool Has(const std::string& attribute, const uint8_t* value, size_t size) const {
    // One byte more, to see that it ends there.
    std::string found(size + 1, '\0');
    const ssize_t got = file_.get() < 0 ? lgetxattr(path_.c_str(), attribute.c_str(), found.data(), found.size())
                                        : fgetxattr(file_.get(), attribute.c_str(), found.data(), found.size());
    return got >= 0 && static_cast<size_t>(got) == size && memcmp(found.data(), value, size) == 0;
  }
  int Set(const std::string& attribute, const uint8_t* value, size_t size) const {
    return file_.get() < 0 ? lsetxattr(path_.c_str(), attribute.c_str(), value, size, 0)
                           : fsetxattr(file_.get(), attribute.c_str(), value, size, 0);
  }
  int Remove(const std::string& attribute) const {
    return file_.get() < 0 ? lremovexattr(path_.c_str(), attribute.c_str())
                           : fremovexattr(file_.get(), attribute.c_str());
  }

 private:
  const std::string path_;
  const FileDescriptor file_;
  const int error_ = 0;
};

bool XattrUnsupported(int error) { return error == ENOTSUP || error == EOPNOTSUPP; }

int ListXattrs(const XattrPlace& place, std::string* names) {
  for (;;) {
    const ssize_t size = place.List(nullptr, 0);
    if (size < 0) return errno;
    names->resize(static_cast<size_t>(size));
    if (size == 0) return 0;
    const ssize_t got = place.List(names->data(), names->size());
    if (got >= 0) {
      names->resize(static_cast<size_t>(got));
      return 0;
    }
    if (errno != ERANGE) return errno;
  }
}

// fchmodat2(2), since Linux 6.6; the C library may be older.
constexpr long kFchmodat2 = 452;

// @param file opened with O_PATH
int ChangeModeWithoutProc(int file, mode_t file_mode, int directory, const std::string& name, mode_t mode) {
  if (syscall(kFchmodat2, file, "", mode, AT_EMPTY_PATH) == 0) return 0;
  // EPERM: a sandbox that does not know the call, or it is true, and then the next one says so as well.
  if (errno != ENOSYS && errno != EPERM) return errno;
  if (!S_ISREG(file_mode) && !S_ISDIR(file_mode)) return errno;
  FileDescriptor open_file(OpenPlain(directory, name));
  return open_file.get() < 0 ? errno : CurrentError(fchmod(open_file.get(), mode));
}
#endif

}  // namespace

bool HasProc() {
  static const bool has_proc = access("/proc/self/fd", F_OK) == 0;
  return has_proc;
}

// chmod(2) follows links and fchmodat(2) has no flag against it that works everywhere: pin the file first.
int ChangeMode(int directory, const std::string& name, mode_t mode) {
#ifdef __linux__
  FileDescriptor file(openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (file.get() < 0) return errno;
  struct stat status;
  if (fstat(file.get(), &status) != 0) return errno;
  if (S_ISLNK(status.st_mode)) return 0;
  if (!HasProc()) return ChangeModeWithoutProc(file.get(), status.st_mode, directory, name, mode);
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
  const XattrPlace place(directory, name);
  if (place.error() != 0) return place.error();
  // Most file systems take it for a change, and a read-only one for an error.
  if (place.Has(attribute_name, value, value_size)) return 0;
  return CurrentError(place.Set(attribute_name, value, value_size));
}

int KeepXattrs(int directory, const std::string& name, const std::string& names) {
  const XattrPlace place(directory, name);
  if (place.error() != 0) return place.error();
  std::string present;
  const int list_error = ListXattrs(place, &present);
  if (list_error != 0) return XattrUnsupported(list_error) ? 0 : list_error;
  const std::string keep = std::string(1, '\0') + names;
  int first_error = 0;
  for (size_t at = 0; at < present.size();) {
    const std::string attribute = present.c_str() + at;
    at += attribute.size() + 1;
    if (keep.find('\0' + attribute + '\0') != std::string::npos) continue;
    if (place.Remove(attribute) != 0 && errno != ENODATA && first_error == 0) first_error = errno;
  }
  return first_error;
}
#else
int SetXattr(int, const std::string&, Bytes) { return ENOTSUP; }
int KeepXattrs(int, const std::string&, const std::string&) { return 0; }
#endif

int ListXattrNames(const std::string& path, std::string* names) {
#ifdef __linux__
  const int error = ListXattrs(XattrPlace(path), names);
  return XattrUnsupported(error) ? 0 : error;
#else
  return 0;
#endif
}

int ListXattrNames(int directory, const std::string& name, std::string* names) {
#ifdef __linux__
  const XattrPlace place(directory, name);
  const int error = place.error() != 0 ? place.error() : ListXattrs(place, names);
  return XattrUnsupported(error) ? 0 : error;
#else
  return 0;
#endif
}

}  // namespace yore
