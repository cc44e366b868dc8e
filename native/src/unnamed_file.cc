#include "unnamed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "file_status.h"

namespace yore {

namespace {

// What one writev takes on Linux.
constexpr size_t kMaxParts = 1024;

int ErrorOf(int result) { return result == 0 ? 0 : errno; }

// fsync is refused by some network file systems and FUSE.
int SyncDescriptor(int fd) {
  const int error = ErrorOf(fsync(fd));
  const bool is_unsupported =
      error == EINVAL || error == ENOTSUP || error == EOPNOTSUPP || error == ENOSYS || error == ENOTTY;
  return is_unsupported ? 0 : error;
}

// How a file system says that it has no such thing.
bool IsUnsupported(int error) { return error == ENOTSUP || error == EOPNOTSUPP || error == ENOSYS; }

// Kernels and file systems differ in how they say that they cannot; a folder that is missing says so again.
bool LacksUnnamedFiles(int error) { return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT; }

// exFAT, SMB, most of FUSE.
bool LacksHardLinks(int error) { return error == EPERM || error == EMLINK || IsUnsupported(error); }

// Where there are no hard links either. Within this process nobody comes in between.
int RenameAfterLook(const char* from, const char* to) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  struct stat status;
  if (lstat(to, &status) == 0) return EEXIST;
  return errno == ENOENT ? ErrorOf(rename(from, to)) : errno;
}

int RenameUnlessTaken(const char* from, const char* to) {
#ifdef RENAME_NOREPLACE
  const int rename_error = ErrorOf(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
  if (rename_error != EINVAL && !IsUnsupported(rename_error)) return rename_error;
#endif
  const int error = ErrorOf(link(from, to));
  if (LacksHardLinks(error)) return RenameAfterLook(from, to);
  if (error == 0) unlink(from);
  return error;
}

int LinkDescriptor(int fd, const char* to) {
  char self[40];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  return ErrorOf(linkat(AT_FDCWD, self, AT_FDCWD, to, AT_SYMLINK_FOLLOW));
}

}  // namespace

int UnnamedFile::Open(const std::string& folder, const std::string& temporary_name, mode_t mode) {
  temporary_ = folder + "/" + temporary_name;
  has_name_ = false;
#ifdef O_TMPFILE
  // Without /proc it could be given no name.
  if (HasProc()) fd_ = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  if (HasProc() && fd_ < 0 && !LacksUnnamedFiles(errno)) return errno;
#endif
  if (fd_ < 0) {
    fd_ = open(temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
    if (fd_ < 0) return errno;
    has_name_ = true;
  }
  return ChangeMode(mode);
}

int UnnamedFile::Write(std::vector<iovec> parts) {
  for (size_t at = 0; at < parts.size();) {
    const size_t count = std::min(parts.size() - at, kMaxParts);
    ssize_t written = writev(fd_, &parts[at], static_cast<int>(count));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    while (at < parts.size() && static_cast<size_t>(written) >= parts[at].iov_len) {
      written -= static_cast<ssize_t>(parts[at].iov_len);
      at++;
    }
    if (written > 0) {
      parts[at].iov_base = static_cast<uint8_t*>(parts[at].iov_base) + written;
      parts[at].iov_len -= static_cast<size_t>(written);
    }
  }
  return 0;
}

int UnnamedFile::Read(uint8_t* into, size_t size, uint64_t offset) const {
  while (size > 0) {
    const ssize_t got = pread(fd_, into, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EIO;
    into += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

int UnnamedFile::CheckLength(uint64_t length) const {
  struct stat status;
  if (fstat(fd_, &status) != 0) return errno;
  return static_cast<uint64_t>(status.st_size) == length ? 0 : EIO;
}

int UnnamedFile::Sync() {
  // ext4 without a journal writes down with the data how many names the file has, and nothing later: after a loss of power,
  // e2fsck clears a file that had none.
  if (!has_name_) has_name_ = LinkDescriptor(fd_, temporary_.c_str()) == 0;
  return SyncDescriptor(fd_);
}

int UnnamedFile::ChangeMode(mode_t mode) const {
  const int error = ErrorOf(fchmod(fd_, mode));
  return error == EPERM || IsUnsupported(error) ? 0 : error;
}

int UnnamedFile::GiveName(const std::string& path, bool replace) {
  const char* const to = path.c_str();
  if (!has_name_) return LinkDescriptor(fd_, to);
  const char* const from = temporary_.c_str();
  const int error = replace ? ErrorOf(rename(from, to)) : RenameUnlessTaken(from, to);
  if (error == 0) has_name_ = false;
  return error;
}

void UnnamedFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  if (has_name_) unlink(temporary_.c_str());
  has_name_ = false;
}

int SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = SyncDescriptor(fd);
  close(fd);
  return error;
}

}  // namespace yore
