// Ways into a directory that nobody can lead elsewhere, by a symbolic link or by "..".
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>

namespace yore {

#ifdef O_PATH
// Enough to work in a directory, and possible without the right to list it.
constexpr int kEnter = O_PATH | O_DIRECTORY | O_CLOEXEC;
#else
constexpr int kEnter = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
#endif

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { Reset(-1); }
  void Reset(int fd) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// One component of a path: nothing that could lead elsewhere.
bool IsPlainName(const std::string& name);

// Opens a path beneath `root`, following no symbolic link and no "..". "" is the root itself. -1: errno.
int OpenBeneath(int root, const std::string& path, int flags, mode_t mode);

// The same beneath the directory at a path.
int OpenBeneathRoot(const std::string& root, const std::string& path, int flags, mode_t mode);

}  // namespace yore
