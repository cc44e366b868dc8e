// What a backup reads of a file system: a directory's entries with everything that a snapshot keeps of them, and where
// files have holes.

#include "addon.h"

#include "bytes_list.h"
#include "napi_helpers.h"
#include "scan_record.h"
#include "scan_record_writer.h"
#include "thread_pool.h"
#include "tree_match.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <sys/xattr.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace yore {
namespace {

void PutUint32(std::vector<uint8_t>* out, uint32_t value) { PutBytes(out, &value, sizeof value); }

// Reads something whose size is known only by asking: asks, makes room, and asks again when it has grown meanwhile.
// Returns 0 or an errno.
template <typename Call>
int ReadGrowing(std::vector<char>* buffer, Call call, size_t* size) {
  if (buffer->empty()) buffer->resize(1024);
  for (;;) {
    ssize_t got = call(buffer->data(), buffer->size());
    if (got >= 0) {
      *size = static_cast<size_t>(got);
      return 0;
    }
    if (errno != ERANGE || buffer->size() > (1u << 26)) return errno;
    buffer->resize(buffer->size() * 4);
  }
}

#ifdef __linux__
// The same on all processors but for those whose numbers begin elsewhere.
#if !defined(SYS_listxattrat) && !defined(__alpha__) && !defined(__mips__)
#define SYS_listxattrat 465
#endif

// llistxattr of a name in an open directory. Since Linux 6.13 that needs no walk along the whole path, which is half of what
// the call takes; before, and where a sandbox does not know the call, the path is used.
ssize_t ListAttributes(int directory, const char* name, const char* path, char* data, size_t size) {
#ifdef SYS_listxattrat
  static std::atomic<bool> is_known{true};
  if (is_known.load(std::memory_order_relaxed)) {
    const long got = syscall(SYS_listxattrat, directory, name, AT_SYMLINK_NOFOLLOW, data, size);
    if (got >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<ssize_t>(got);
    is_known.store(false, std::memory_order_relaxed);
  }
#endif
  return llistxattr(path, data, size);
}

// Appends the extended attributes in the order in which the kernel lists them, as restic keeps them.
int AppendAttributes(int directory, const char* entry, const char* path, std::vector<uint8_t>* out) {
  thread_local std::vector<char> names;
  thread_local std::vector<char> value;
  size_t names_size = 0;
  int problem = ReadGrowing(
      &names, [&](char* data, size_t size) { return ListAttributes(directory, entry, path, data, size); }, &names_size);
  if (problem == ENOTSUP) return 0;
  if (problem != 0) return problem;
  for (size_t at = 0; at < names_size;) {
    const char* name = names.data() + at;
    size_t name_length = strnlen(name, names_size - at);
    at += name_length + 1;
    size_t value_size = 0;
    problem = ReadGrowing(
        &value, [&](char* data, size_t size) { return lgetxattr(path, name, data, size); }, &value_size);
    // Removed since it was listed.
    if (problem == ENODATA) continue;
    PutUint32(out, static_cast<uint32_t>(name_length));
    PutUint32(out, problem == 0 ? static_cast<uint32_t>(value_size) : kUnreadableAttribute);
    PutBytes(out, name, name_length);
    if (problem == 0) PutBytes(out, value.data(), value_size);
  }
  return 0;
}
#else
int AppendAttributes(int, const char*, const char*, std::vector<uint8_t>*) { return 0; }
#endif

// One entry: `name` relative to the open directory, `path` for the calls that have no such form.
void AppendEntry(int directory, const std::string& name, const std::string& path, bool follow, bool attributes,
                 std::vector<uint8_t>* out) {
  size_t start = BeginRecord(out, name);
  struct stat st;
  if (fstatat(directory, name.c_str(), &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    Put(out, start + 16, static_cast<int32_t>(errno));
    return EndRecord(out, start);
  }
  PutStat(out, start, st);
  if (S_ISLNK(st.st_mode)) {
    std::vector<char> target(st.st_size > 0 && st.st_size < 65536 ? static_cast<size_t>(st.st_size) + 1 : 4096);
    ssize_t got = readlinkat(directory, name.c_str(), target.data(), target.size());
    while (got == static_cast<ssize_t>(target.size()) && target.size() < (1u << 20)) {
      target.resize(target.size() * 4);
      got = readlinkat(directory, name.c_str(), target.data(), target.size());
    }
    if (got < 0) {
      Put(out, start + 24, static_cast<int32_t>(errno));
    } else {
      Put(out, start + 8, static_cast<uint32_t>(got));
      PutBytes(out, target.data(), static_cast<size_t>(got));
    }
  }
  if (attributes) {
    size_t before = out->size();
    int problem = AppendAttributes(directory, name.c_str(), path.c_str(), out);
    Put(out, start + 12, static_cast<uint32_t>(out->size() - before));
    Put(out, start + 20, static_cast<int32_t>(problem));
  }
  EndRecord(out, start);
}

std::string JoinPath(const std::string& directory, const std::string& name) {
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

// An open directory and the names in it, but for "." and "..".
class Listing {
 public:
  ~Listing() {
    if (directory_ != nullptr) closedir(directory_);
  }

  // Returns 0 or an errno, and the name of the call that failed.
  int Open(const std::string& path, bool follow, const char** syscall) {
    *syscall = "opendir";
    int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (descriptor < 0) return errno;
    directory_ = fdopendir(descriptor);
    if (directory_ == nullptr) {
      const int error = errno;
      close(descriptor);
      return error;
    }
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(directory_);
      if (entry == nullptr) break;
      const char* name = entry->d_name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      names.emplace_back(name);
    }
    *syscall = "readdir";
    return errno;
  }

  int descriptor() const { return dirfd(directory_); }

  std::vector<std::string> names;

 private:
  DIR* directory_ = nullptr;
};

// The records of all that is in a directory, or why there are none.
class DirectoryScan {
 public:
  DirectoryScan(std::string path, bool follow, bool attributes)
      : path_(std::move(path)), follow_(follow), attributes_(attributes) {}

  void Run() {
    Listing listing;
    error_ = listing.Open(path_, follow_, &syscall_);
    if (error_ != 0) return;
    // By unsigned bytes, as trees are sorted.
    std::sort(listing.names.begin(), listing.names.end());
    records_.reserve(listing.names.size() * (kScanRecordFixedLength + 32));
    for (const std::string& name : listing.names)
      AppendEntry(listing.descriptor(), name, JoinPath(path_, name), false, attributes_, &records_);
  }

  bool failed() const { return error_ != 0; }
  const std::vector<uint8_t>& records() const { return records_; }
  napi_value Records(napi_env env) const { return MakeBufferCopy(env, records_.data(), records_.size()); }
  napi_value Error(napi_env env) const { return MakeSystemError(env, error_, syscall_, path_); }

 private:
  std::string path_;
  bool follow_;
  bool attributes_;
  std::vector<uint8_t> records_;
  int error_ = 0;
  const char* syscall_ = "";
};

class ScanTask final : public Task {
 public:
  explicit ScanTask(DirectoryScan scan) : scan_(std::move(scan)) {}

  void Execute() override { scan_.Run(); }

  napi_value Complete(napi_env env) override {
    if (!scan_.failed()) return scan_.Records(env);
    napi_throw(env, scan_.Error(env));
    return nullptr;
  }

 private:
  DirectoryScan scan_;
};

// What there is in a directory, as numbers: an estimate needs no more.
class CountTask final : public Task {
 public:
  explicit CountTask(std::string path) : path_(std::move(path)) {}

  void Execute() override {
    Listing listing;
    error_ = listing.Open(path_, false, &syscall_);
    if (error_ != 0) return;
    for (const std::string& name : listing.names) {
      struct stat st;
      if (fstatat(listing.descriptor(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(st.st_mode)) directories_.append(name).push_back('\0');
      if (!S_ISREG(st.st_mode)) continue;
      files_++;
      bytes_ += static_cast<double>(st.st_size);
    }
  }

  napi_value Complete(napi_env env) override {
    if (error_ != 0) return ThrowSystemError(env, error_, syscall_, path_);
    napi_value count = nullptr;
    napi_create_object(env, &count);
    napi_set_named_property(env, count, "files", MakeNumber(env, files_));
    napi_set_named_property(env, count, "bytes", MakeNumber(env, bytes_));
    napi_set_named_property(env, count, "directories", MakeBufferCopy(env, directories_.data(), directories_.size()));
    return count;
  }

 private:
  const std::string path_;
  double files_ = 0;
  double bytes_ = 0;
  std::string directories_;
  int error_ = 0;
  const char* syscall_ = "";
};

// Scans many, and gives the records only of those that differ from their tree blobs.
class ScanAgainstTask final : public Task {
 public:
  void Add(std::string path) { scans_.push_back({DirectoryScan(std::move(path), false, true), {}, false}); }
  size_t size() const { return scans_.size(); }
  std::vector<Bytes>* trees() { return &trees_; }

  void Execute() override {
    for (size_t i = 0; i < scans_.size(); i++) {
      auto& [scan, matched, is_match] = scans_[i];
      scan.Run();
      if (!scan.failed()) is_match = MatchTree(scan.records(), trees_[i], &matched);
    }
  }

  napi_value Complete(napi_env env) override {
    napi_value results = nullptr;
    napi_create_array_with_length(env, scans_.size(), &results);
    for (size_t i = 0; i < scans_.size(); i++) {
      const auto& [scan, matched, is_match] = scans_[i];
      const napi_value result = scan.failed() ? scan.Error(env) : is_match ? MakeMatch(env, matched) : scan.Records(env);
      napi_set_element(env, results, static_cast<uint32_t>(i), result);
    }
    return results;
  }

 private:
  struct One {
    DirectoryScan scan;
    MatchedTree matched;
    bool is_match;
  };

  static napi_value MakeMatch(napi_env env, const MatchedTree& matched) {
    napi_value match = nullptr;
    napi_create_object(env, &match);
    napi_set_named_property(env, match, "files", MakeNumber(env, matched.files));
    napi_set_named_property(env, match, "bytes", MakeNumber(env, matched.bytes));
    for (const auto& [name, bytes] : {std::pair("contents", &matched.contents), std::pair("details", &matched.details)})
      napi_set_named_property(env, match, name, MakeBufferCopy(env, bytes->data(), bytes->size()));
    return match;
  }

  std::vector<One> scans_;
  std::vector<Bytes> trees_;
};

class StatTask final : public Task {
 public:
  StatTask(std::vector<std::string> paths, bool follow, bool attributes)
      : paths_(std::move(paths)), follow_(follow), attributes_(attributes) {}

  void Execute() override {
    for (const std::string& path : paths_) AppendEntry(AT_FDCWD, path, path, follow_, attributes_, &out_);
  }

  napi_value Complete(napi_env env) override { return MakeBufferCopy(env, out_.data(), out_.size()); }

 private:
  std::vector<std::string> paths_;
  bool follow_;
  bool attributes_;
  std::vector<uint8_t> out_;
};

// scanDirectory(path, followTarget, withAttributes): Promise<Buffer> of the records of all entries, sorted by name
napi_value ScanDirectory(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  std::string path;
  bool follow, attributes;
  if (!GetPath(env, arguments[0], "path", &path)) return nullptr;
  if (!GetBool(env, arguments[1], "followTarget", &follow)) return nullptr;
  if (!GetBool(env, arguments[2], "withAttributes", &attributes)) return nullptr;
  return Submit(env, std::make_unique<ScanTask>(DirectoryScan(std::move(path), follow, attributes)), Lane::kBlocking);
}

// countDirectory(path): Promise of {files, bytes, directories}
napi_value CountDirectory(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  std::string path;
  if (!GetPath(env, arguments[0], "path", &path)) return nullptr;
  return Submit(env, std::make_unique<CountTask>(std::move(path)), Lane::kBlocking);
}

// scanAgainstTrees(paths, trees): Promise of an array with, for each path, the records as scanDirectory gives them, or,
// where the tree blob says the same, {files, bytes, contents, details} of tree_match.h, or an Error. Each path has a zero
// byte behind it.
napi_value ScanAgainstTrees(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  std::vector<std::string> paths;
  if (!GetPaths(env, arguments[0], "paths", &paths)) return nullptr;
  auto task = std::make_unique<ScanAgainstTask>();
  for (std::string& path : paths) {
    if (path.empty()) {
      ThrowType(env, "paths", "paths that are not empty");
      return nullptr;
    }
    task->Add(std::move(path));
  }
  if (!GetBytesList(env, arguments[1], "trees", task.get(), task->trees())) return Abandon(env, std::move(task));
  if (task->trees()->size() != task->size()) {
    ThrowType(env, "trees", "as many as paths");
    return Abandon(env, std::move(task));
  }
  return Submit(env, std::move(task), Lane::kBlocking);
}

// statEntries(paths, followTargets, withAttributes): Promise<Buffer> of a record for each, whose name is the path. Each path
// has a zero byte behind it; the empty one does not exist.
napi_value StatEntries(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  std::vector<std::string> paths;
  bool follow, attributes;
  if (!GetPaths(env, arguments[0], "paths", &paths)) return nullptr;
  if (!GetBool(env, arguments[1], "followTargets", &follow)) return nullptr;
  if (!GetBool(env, arguments[2], "withAttributes", &attributes)) return nullptr;
  return Submit(env, std::make_unique<StatTask>(std::move(paths), follow, attributes), Lane::kBlocking);
}

// seekData(descriptor, offset): number, where the next data at or behind the offset begins; -1 when there is only a
// hole up to the end, the offset itself where the file system cannot tell. Leaves the file position anywhere.
napi_value SeekData(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  int32_t descriptor;
  int64_t offset;
  if (!GetInt32(env, arguments[0], "descriptor", &descriptor)) return nullptr;
  if (!GetInteger(env, arguments[1], "offset", 0, int64_t{1} << 53, &offset)) return nullptr;
#ifdef SEEK_DATA
  off_t found = lseek(descriptor, offset, SEEK_DATA);
  if (found >= 0) return MakeNumber(env, static_cast<double>(found));
  if (errno == ENXIO) return MakeNumber(env, -1);
#endif
  return MakeNumber(env, static_cast<double>(offset));
}

}  // namespace

void RegisterScan(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "scanDirectory", ScanDirectory);
  ExportFunction(env, exports, "countDirectory", CountDirectory);
  ExportFunction(env, exports, "scanAgainstTrees", ScanAgainstTrees);
  ExportFunction(env, exports, "statEntries", StatEntries);
  ExportFunction(env, exports, "seekData", SeekData);
}

}  // namespace yore
