// What stands where a restore wants small files, and what is in it: many in one hop. Node.js takes five for each (lstat, open,
// read, hash, close), and 100 us of processor time. src/native/examine-functions.ts says what it takes and gives.

#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/xattr.h>
#endif

#include <cerrno>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "addon.h"
#include "crypto.h"
#include "file_descriptor.h"
#include "napi_helpers.h"
#include "open_beneath.h"
#include "sha256_lanes.h"
#include "stat_times.h"
#include "thread_pool.h"

namespace yore {
namespace {

constexpr size_t kNumbersIn = 10;
constexpr size_t kNumbersOut = 4;
// Where among those that come in.
enum Wanted { kLength, kTrustTime, kOwner = 3, kGroup, kMode, kModified, kAccessed = 8 };
constexpr double kMaxLength = 1 << 20;

// NaN equals nothing.
bool IsTime(const timespec& time, const double* wanted) {
  return static_cast<double>(time.tv_sec) == wanted[0] && static_cast<double>(time.tv_nsec) == wanted[1];
}

bool HasStatus(int fd, const double* wanted) {
#ifdef __linux__
  struct stat status;
  if (fstat(fd, &status) != 0) return false;
  const bool has_mode = static_cast<double>(status.st_mode & ~S_IFMT) == wanted[kMode];
  const bool has_owner =
      static_cast<double>(status.st_uid) == wanted[kOwner] && static_cast<double>(status.st_gid) == wanted[kGroup];
  if (!has_mode || !has_owner) return false;
  if (!IsTime(status.st_mtim, wanted + kModified) || !IsTime(status.st_atim, wanted + kAccessed)) return false;
  const ssize_t attributes = flistxattr(fd, nullptr, 0);
  return attributes == 0 || (attributes < 0 && (errno == ENOTSUP || errno == EOPNOTSUPP));
#else
  return false;
#endif
}

// As in src/native/examine-functions.ts. Below zero: the errno of asking, negated.
enum Outcome { kNothing = 0, kNoFile = 1, kTrusted = 2, kUnreadable = 3, kRead = 4 };

class ExamineTask final : public Task {
 public:
  std::string root;
  std::vector<std::string> paths;
  std::vector<double> wanted;

  void Execute() override {
    found_.resize(paths.size() * kNumbersOut);
    hashes_.resize(paths.size() * kHashSize);
    const FileDescriptor root_folder(open(root.c_str(), kEnter));
    if (root_folder.get() < 0) {
      const int error = errno;
      for (size_t i = 0; i < paths.size(); i++) found_[i * kNumbersOut] = -error;
      return;
    }
    for (size_t i = 0; i < paths.size(); i++)
      found_[i * kNumbersOut] = Examine(root_folder.get(), i, &found_[i * kNumbersOut]);
    HashAll();
  }

  napi_value Complete(napi_env env) override {
    napi_value result = MakeArray(env, 2);
    napi_set_element(env, result, 0, MakeNumbers(env, found_, napi_float64_array));
    napi_set_element(env, result, 1, MakeBufferCopy(env, hashes_.data(), hashes_.size()));
    return result;
  }

 private:
  double Examine(int root_folder, size_t i, double* found) {
    const std::string& path = paths[i];
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash);
    const char* name = path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
    // Neighbours are asked for together.
    if (folder_.get() < 0 || folder != folder_path_) {
      folder_.Reset(OpenBeneath(root_folder, folder, kEnter, 0));
      folder_path_ = folder;
    }
    struct stat status;
    if (folder_.get() < 0 || fstatat(folder_.get(), name, &status, AT_SYMLINK_NOFOLLOW) != 0)
      return errno == ENOENT || errno == ENOTDIR ? kNothing : -errno;
    if (!S_ISREG(status.st_mode)) return kNoFile;
    found[1] = static_cast<double>(status.st_size);
    found[2] = static_cast<double>(status.st_nlink);
    const double* want = &wanted[i * kNumbersIn];
    const bool is_trusted = found[1] == want[kLength] && IsTime(status.st_mtim, want + kTrustTime);
    const bool needs_status = !std::isnan(want[kOwner]);
    if (is_trusted && !needs_status) return kTrusted;
    const FileDescriptor file(Open(name));
    const bool is_read = file.get() >= 0 && (is_trusted || Read(file.get(), i, static_cast<size_t>(want[kLength])));
    found[3] = file.get() >= 0 && needs_status && HasStatus(file.get(), want) ? 1 : 0;
    if (is_trusted) return kTrusted;
    return is_read ? kRead : kUnreadable;
  }

  int Open(const char* name) const {
    // A pipe that has taken its place is not waited for.
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
#ifdef O_NOATIME
    // Only whoever owns the file may leave its time of last access alone.
    const int fd = openat(folder_.get(), name, flags | O_NOATIME);
    if (fd >= 0 || errno != EPERM) return fd;
#endif
    return openat(folder_.get(), name, flags);
  }

  bool Read(int fd, size_t i, size_t length) {
    OwnedBytes content(length);
    size_t got = 0;
    while (got < length) {
      const ssize_t count = pread(fd, content.data.get() + got, length - got, static_cast<off_t>(got));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      // Too short: it has not what is wanted, and the hash stays zero.
      if (count == 0) return true;
      got += static_cast<size_t>(count);
    }
    contents_.push_back(std::move(content));
    numbers_.push_back(i);
    return true;
  }

  void HashAll() {
    std::vector<HashInput> inputs;
    for (size_t i = 0; i < contents_.size(); i++)
      inputs.push_back({contents_[i].data.get(), contents_[i].size, &hashes_[numbers_[i] * kHashSize]});
    Sha256All(inputs.data(), inputs.size());
  }

  FileDescriptor folder_;
  std::string folder_path_;
  std::vector<OwnedBytes> contents_;
  // Of the file of each content.
  std::vector<size_t> numbers_;
  std::vector<double> found_;
  std::vector<uint8_t> hashes_;
};

napi_value ExamineFiles(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  auto task = std::make_unique<ExamineTask>();
  if (!GetPath(env, arguments[0], "root", &task->root) || !GetPaths(env, arguments[1], "paths", &task->paths) ||
      !GetNumbers(env, arguments[2], "wanted", napi_float64_array, "a Float64Array",
                  task->paths.size() * kNumbersIn, &task->wanted))
    return Abandon(env, std::move(task));
  for (size_t i = 0; i < task->wanted.size(); i += kNumbersIn) {
    // Written so that NaN is refused.
    if (task->wanted[i + kLength] >= 0 && task->wanted[i + kLength] <= kMaxLength) continue;
    ThrowRange(env, "wanted", "lengths of up to 1 MiB");
    return Abandon(env, std::move(task));
  }
  return Submit(env, std::move(task), Lane::kBlocking);
}

}  // namespace

void RegisterExamineFiles(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "examineFiles", ExamineFiles);
}

}  // namespace yore
