#include "file_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "file_status.h"
#include "open_beneath.h"
#include "stat_times.h"
#include "written_pages.h"

namespace yore {
namespace {

constexpr size_t kHeaderSize = 48;

// Of the calls that write a part.
constexpr uint32_t kSparse = 1;

// Holes are made of whole blocks; smaller ones save nothing on any common file system.
constexpr size_t kHoleSize = 4096;

enum Kind : uint32_t {
  kDirectory = 0,
  kWrite = 1,
  kSymlink = 2,
  kNode = 3,
  kLink = 4,
  kOwner = 5,
  kSetXattr = 6,
  kKeepXattrs = 7,
  kTimes = 8,
  kMode = 9,
  kRemove = 10,
  kRename = 11,
  kFile = 12,
  kFolder = 13,
  kWritePart = 14,
  kFilePart = 15,
  kPiece = 16,
};

struct Call {
  uint32_t kind, first, second, mtime_ns, atime_ns, mode;
  int64_t wide, atime_seconds;
  std::string name;
  const uint8_t* data;
  size_t data_size;
  std::string Text() const { return std::string(reinterpret_cast<const char*>(data), data_size); }
};

uint32_t Load32(const uint8_t* at) {
  return at[0] | at[1] << 8 | at[2] << 16 | static_cast<uint32_t>(at[3]) << 24;
}

int64_t Load64(const uint8_t* at) {
  return static_cast<int64_t>(Load32(at) | static_cast<uint64_t>(Load32(at + 4)) << 32);
}

// False when the bytes end inside the call.
bool DecodeCall(const Bytes& program, size_t* offset, Call* call) {
  if (program.size - *offset < kHeaderSize) return false;
  const uint8_t* at = program.data + *offset;
  const size_t name_size = Load32(at + 4);
  const size_t data_size = Load32(at + 8);
  if (program.size - *offset - kHeaderSize < name_size + data_size) return false;
  call->kind = Load32(at);
  call->first = Load32(at + 12);
  call->second = Load32(at + 16);
  call->mtime_ns = Load32(at + 20);
  call->atime_ns = Load32(at + 24);
  call->mode = Load32(at + 28);
  call->wide = Load64(at + 32);
  call->atime_seconds = Load64(at + 40);
  call->name.assign(reinterpret_cast<const char*>(at + kHeaderSize), name_size);
  call->data = at + kHeaderSize + name_size;
  call->data_size = data_size;
  *offset += kHeaderSize + name_size + data_size;
  return true;
}

int WriteAll(int fd, const uint8_t* data, size_t size, off_t offset) {
  while (size > 0) {
    const ssize_t written = pwrite(fd, data, size, offset);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    data += written;
    offset += written;
    size -= static_cast<size_t>(written);
  }
  return 0;
}

// Leaves out blocks of the file, which must be blank there, that are zero as a whole.
int WriteRuns(int fd, const uint8_t* data, size_t size, off_t offset) {
  static const uint8_t kZeros[kHoleSize] = {};
  size_t run_start = 0;
  for (size_t at = 0; at < size;) {
    const size_t to_border = kHoleSize - static_cast<size_t>((offset + static_cast<off_t>(at)) % kHoleSize);
    const size_t end = size - at < to_border ? size : at + to_border;
    if (memcmp(data + at, kZeros, end - at) == 0) {
      const int error = WriteAll(fd, data + run_start, at - run_start, offset + static_cast<off_t>(run_start));
      if (error != 0) return error;
      run_start = end;
    }
    at = end;
  }
  return WriteAll(fd, data + run_start, size - run_start, offset + static_cast<off_t>(run_start));
}

int CurrentError(int result) { return result == 0 ? 0 : errno; }

// Removes one thing, an empty directory included. Absence is success.
int RemoveOne(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return 0;
  // Linux says EISDIR, POSIX says EPERM.
  if (errno != EISDIR && errno != EPERM) return errno;
  const int unlink_error = errno;
  if (unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  return errno == ENOTDIR ? unlink_error : errno;
}

// Removes a thing and all below it, entering directories only, never links. Goes on after a failure and returns the
// first one: as much as can be is removed.
int RemoveTree(int directory, const std::string& name, int depth = 0) {
  const int simple = RemoveOne(directory, name);
  if (simple == 0 || (simple != ENOTEMPTY && simple != EEXIST)) return simple;
  if (depth > 4096) return ELOOP;
  const int fd = openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  DIR* listing = fdopendir(fd);
  if (listing == nullptr) {
    const int error = errno;
    close(fd);
    return error;
  }
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing)) {
    const std::string entry_name = entry->d_name;
    if (entry_name != "." && entry_name != "..") names.push_back(entry_name);
  }
  int first_error = 0;
  for (const std::string& entry_name : names) {
    const int error = RemoveTree(dirfd(listing), entry_name, depth + 1);
    if (first_error == 0) first_error = error;
  }
  closedir(listing);
  const int error = RemoveOne(directory, name);
  return first_error != 0 ? first_error : error;
}

// Owner, no extended attributes, times and mode of a file just made: in this order, see metadataCalls of
// src/restorer/node-calls.ts.
int SetStatus(int fd, const Call& call) {
#ifdef __linux__
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  // Most files belong to whoever restores them, and asking costs a tenth of changing.
  const bool is_owned = status.st_uid == call.first && status.st_gid == call.second;
  if (!is_owned && fchown(fd, call.first, call.second) != 0) return errno;
  // Some come without being asked for: an inherited ACL, a security label.
  const ssize_t attributes = flistxattr(fd, nullptr, 0);
  if (attributes > 0) return EEXIST;
  if (attributes < 0 && errno != ENOTSUP && errno != EOPNOTSUPP) return errno;
  const timespec times[2] = {
      {static_cast<time_t>(call.atime_seconds), static_cast<long>(call.atime_ns)},
      {static_cast<time_t>(call.wide), static_cast<long>(call.mtime_ns)},
  };
  if (futimens(fd, times) != 0) return errno;
  return fchmod(fd, call.mode) == 0 ? 0 : errno;
#else
  return ENOTSUP;
#endif
}

int WriteFile(int directory, const Call& call, Bytes content, bool sparse) {
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(directory, call.name.c_str(), flags, 0600);
  if (fd < 0 && errno == EEXIST) {
    const int error = RemoveOne(directory, call.name);
    if (error != 0) return error;
    fd = openat(directory, call.name.c_str(), flags, 0600);
  }
  if (fd < 0) return errno;
  int error = sparse ? WriteRuns(fd, content.data, content.size, 0) : WriteAll(fd, content.data, content.size, 0);
  // Its last block may be a hole.
  if (error == 0 && sparse) error = CurrentError(ftruncate(fd, static_cast<off_t>(content.size)));
  const bool has_status = call.kind == kFile || call.kind == kFilePart;
  const int status_error = error == 0 && has_status ? SetStatus(fd, call) : 0;
  // Some file systems (NFS, quotas) tell of a failed write only here.
  if (close(fd) != 0 && error == 0 && errno != EINTR) error = errno;
  // Half a file under its right name would look like a whole one.
  if (error != 0) unlinkat(directory, call.name.c_str(), 0);
  return error != 0 ? error : -status_error;
}

int MakeFolder(int directory, const std::string& name) {
  if (mkdirat(directory, name.c_str(), 0700) == 0) return 0;
  if (errno != EEXIST) return errno;
  struct stat status;
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return 0;
  const int error = RemoveOne(directory, name);
  return error != 0 ? error : CurrentError(mkdirat(directory, name.c_str(), 0700));
}

// The calls that write a part.
int WritePart(int directory, const Call& call, PlaintextSource* parts) {
  if (parts == nullptr || call.data_size != 8) return EINVAL;
  Bytes content;
  if (!parts->Open(Load32(call.data), &content)) return 0;
  const bool sparse = (Load32(call.data + 4) & kSparse) != 0;
  if (call.kind != kPiece) return WriteFile(directory, call, content, sparse);
  // Of what no file has the blocks cannot be told apart either.
  if (call.wide < 0) return EINVAL;
  if (content.size > static_cast<uint64_t>(INT64_MAX - call.wide)) return EFBIG;
  const int fd = static_cast<int>(call.first);
  const int error = sparse ? WriteRuns(fd, content.data, content.size, call.wide)
                           : WriteAll(fd, content.data, content.size, call.wide);
  if (error == 0) PassRestoredPages(fd, static_cast<uint64_t>(call.wide), content.size);
  return error;
}

bool AreOneFile(int directory, const std::string& name, int other_directory, const std::string& other_name) {
  struct stat status, other;
  return fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstatat(other_directory, other_name.c_str(), &other, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_dev == other.st_dev && status.st_ino == other.st_ino;
}

int MakeLink(int root, int directory, const Call& call) {
  const std::string source = call.Text();
  const size_t slash = source.rfind('/');
  const std::string parent = slash == std::string::npos ? "" : source.substr(0, slash);
  const std::string name = slash == std::string::npos ? source : source.substr(slash + 1);
  if (!IsPlainName(name)) return EINVAL;
  FileDescriptor from(OpenBeneath(root, parent, kEnter, 0));
  if (from.get() < 0) return errno;
  if (AreOneFile(from.get(), name, directory, call.name)) return 0;
  const int error = RemoveOne(directory, call.name);
  if (error != 0) return error;
  return CurrentError(linkat(from.get(), name.c_str(), directory, call.name.c_str(), 0));
}

int ChangeTimes(int directory, const Call& call) {
  const timespec times[2] = {
      {static_cast<time_t>(call.atime_seconds), static_cast<long>(call.atime_ns)},
      {static_cast<time_t>(call.wide), static_cast<long>(call.mtime_ns)},
  };
  return CurrentError(utimensat(directory, call.name.c_str(), times, AT_SYMLINK_NOFOLLOW));
}

bool IsNoRoom(int error) { return error == ENOSPC || error == EDQUOT || error == E2BIG; }

// Sets attributes, those of one thing behind each other. Once one does not fit, those of the thing that are no smaller are
// not tried, neither in name nor value: hundreds of useless calls for each file are half a restore. What is there may be
// replaced all the same, which may make room, and how much of it the system's own attributes (ACLs) take does not show in
// their bytes.
class AttributeSetter {
 public:
  int Set(int directory, const Call& call) {
    const std::string attribute = call.Text().c_str();
    const size_t value_size = call.data_size - std::min(call.data_size, attribute.size() + 1);
    const std::string thing = call.name + '\0' + attribute.substr(0, attribute.find('.'));
    if (thing != thing_) {
      thing_ = thing;
      error_ = 0;
    }
    const bool fits_no_better = error_ != 0 && attribute.size() >= name_size_ && value_size >= value_size_;
    const bool is_present = error_ != 0 && present_.find('\0' + attribute + '\0') != std::string::npos;
    if (fits_no_better && !is_present) return error_;
    const int error = SetXattr(directory, call.name, {const_cast<uint8_t*>(call.data), call.data_size});
    if (IsNoRoom(error) && attribute.compare(0, 7, "system.") != 0) {
      std::string names;
      if (error_ == 0 && ListXattrNames(directory, call.name, &names) != 0) return error;
      if (error_ == 0) present_ = '\0' + names;
      error_ = error;
      name_size_ = attribute.size();
      value_size_ = value_size;
    } else if (error == 0 && is_present) {
      error_ = 0;
    }
    return error;
  }

 private:
  // With the namespace of the attribute: the prefixes of others take no room.
  std::string thing_;
  int error_ = 0;
  // Names of its attributes when the first did not fit, a zero before and behind each.
  std::string present_;
  size_t name_size_ = 0;
  size_t value_size_ = 0;
};

bool IsTime(const timespec& time, int64_t seconds, uint32_t nanoseconds) {
  return time.tv_sec == static_cast<time_t>(seconds) && time.tv_nsec == static_cast<long>(nanoseconds);
}

bool IsLinkTo(int directory, const std::string& name, const std::string& target) {
  // One byte more, to see that it ends there.
  std::string found(target.size() + 1, '\0');
  const ssize_t size = readlinkat(directory, name.c_str(), &found[0], found.size());
  return size >= 0 && static_cast<size_t>(size) == target.size() && found.compare(0, target.size(), target) == 0;
}

// Whether a call would change nothing. Then it is not made: asking costs a tenth of it, and whoever goes by the time of last
// change of the status, as backups do, would take what was right before for changed.
bool IsDone(int directory, const Call& call) {
  struct stat status;
  const auto ask = [&] { return fstatat(directory, call.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0; };
  // What is made gets a status of its own next, which it must not share with other names.
  const auto is_single = [&] { return ask() && status.st_nlink == 1; };
  switch (call.kind) {
    case kSymlink:
      return is_single() && S_ISLNK(status.st_mode) && IsLinkTo(directory, call.name, call.Text());
    case kNode:
      return is_single() && ((status.st_mode ^ call.first) & S_IFMT) == 0 &&
             (S_ISFIFO(status.st_mode) || status.st_rdev == static_cast<dev_t>(call.wide));
    case kOwner:
      return ask() && status.st_uid == call.first && status.st_gid == call.second;
    case kMode:
      return ask() && ((status.st_mode ^ call.first) & ~static_cast<mode_t>(S_IFMT)) == 0;
    case kTimes:
      return ask() && IsTime(status.st_mtim, call.wide, call.mtime_ns) &&
             IsTime(status.st_atim, call.atime_seconds, call.atime_ns);
    default:
      return false;
  }
}

int Run(int root, int directory, const Call& call, AttributeSetter* attributes) {
  const char* name = call.name.c_str();
  if (IsDone(directory, call)) return 0;
  switch (call.kind) {
    case kWrite:
    case kFile:
      return WriteFile(directory, call, {const_cast<uint8_t*>(call.data), call.data_size}, false);
    case kFolder:
      return MakeFolder(directory, call.name);
    case kSymlink: {
      const int error = RemoveOne(directory, call.name);
      return error != 0 ? error : CurrentError(symlinkat(call.Text().c_str(), directory, name));
    }
    case kNode: {
      const int error = RemoveOne(directory, call.name);
      if (error != 0) return error;
      return CurrentError(mknodat(directory, name, call.first, static_cast<dev_t>(call.wide)));
    }
    case kLink:
      return MakeLink(root, directory, call);
    case kOwner:
      return CurrentError(fchownat(directory, name, call.first, call.second, AT_SYMLINK_NOFOLLOW));
    case kSetXattr:
      return attributes->Set(directory, call);
    case kKeepXattrs:
      return KeepXattrs(directory, call.name, call.Text());
    case kTimes:
      return ChangeTimes(directory, call);
    case kMode:
      return ChangeMode(directory, call.name, call.first);
    case kRemove:
      return RemoveTree(directory, call.name);
    case kRename:
      if (!IsPlainName(call.Text())) return EINVAL;
      return CurrentError(renameat(directory, name, directory, call.Text().c_str()));
    default:
      return EINVAL;
  }
}

bool MakesSomething(uint32_t kind) {
  return (kind >= kWrite && kind <= kLink) || kind == kFile || (kind >= kFolder && kind <= kFilePart);
}

}  // namespace

std::vector<int32_t> CarryOut(const std::string& root_path, Bytes program, PlaintextSource* parts) {
  std::vector<int32_t> failures;
  const auto fail = [&](int32_t position, int error) {
    failures.push_back(position);
    failures.push_back(error);
  };
  FileDescriptor root(open(root_path.c_str(), kEnter));
  const int root_error = root.get() < 0 ? errno : 0;
  FileDescriptor directory;
  int directory_error = root_error != 0 ? root_error : EINVAL;
  std::string failed_name;
  AttributeSetter attributes;
  Call call;
  size_t offset = 0;
  for (int32_t position = 0; offset < program.size; position++) {
    if (!DecodeCall(program, &offset, &call)) {
      fail(position, EINVAL);
      break;
    }
    if (call.kind == kDirectory) {
      failed_name.clear();
      attributes = AttributeSetter();
      directory.Reset(root_error != 0 ? -1 : OpenBeneath(root.get(), call.name, kEnter, 0));
      directory_error = directory.get() >= 0 ? 0 : root_error != 0 ? root_error : errno;
      if (directory_error != 0) fail(position, directory_error);
      continue;
    }
    int error = 0;
    if (call.kind == kPiece) {
      error = WritePart(-1, call, parts);
    } else {
      if (directory_error != 0 || (!failed_name.empty() && call.name == failed_name)) continue;
      failed_name.clear();
      if (!IsPlainName(call.name)) error = EINVAL;
      else if (call.kind == kWritePart || call.kind == kFilePart) error = WritePart(directory.get(), call, parts);
      else error = Run(root.get(), directory.get(), call, &attributes);
    }
    if (error == 0) continue;
    fail(position, error);
    if (error > 0 && MakesSomething(call.kind)) failed_name = call.name;
  }
  return failures;
}

}  // namespace yore
