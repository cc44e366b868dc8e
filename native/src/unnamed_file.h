// A file that nobody sees before it is whole: written without a name (O_TMPFILE), and given one in the end. Whatever dies
// while it is written, nothing is left. It has a temporary name from when it is synced until then, or from the beginning
// where the file system knows no such files, or there is no /proc.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <vector>

namespace yore {

// Every function that can fail returns 0 or an errno. One thread at a time.
class UnnamedFile {
 public:
  UnnamedFile() = default;
  UnnamedFile(const UnnamedFile&) = delete;
  UnnamedFile& operator=(const UnnamedFile&) = delete;
  ~UnnamedFile() { Close(); }

  // `temporary_name` is one in the folder. The mode is exact, whatever the umask.
  int Open(const std::string& folder, const std::string& temporary_name, mode_t mode);
  // At the end of the file.
  int Write(std::vector<iovec> parts);
  // From `offset` on, exactly `size` bytes; EIO when there are fewer.
  int Read(uint8_t* into, size_t size, uint64_t offset) const;
  // EIO when it has another length: some network file systems take a write and lose it without a word.
  int CheckLength(uint64_t length) const;
  // To the disk. File systems that know no such thing are taken at their word.
  int Sync();
  // Some file systems keep no modes; the file is as safe without.
  int ChangeMode(mode_t mode) const;
  // EEXIST when somebody has the name; with `replace` only where the file has got no temporary name.
  int GiveName(const std::string& path, bool replace);
  // Without a name nothing remains.
  void Close();

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
  // Its path while it has its temporary name.
  std::string temporary_;
  bool has_name_ = false;
};

// Makes what happened to names in a folder durable.
int SyncFolder(const std::string& folder);

}  // namespace yore
