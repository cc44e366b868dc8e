// The functions of src/native/metadata-functions.ts: one task for each call. What they do is in file_calls.h.

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "addon.h"
#include "file_calls.h"
#include "file_status.h"
#include "napi_helpers.h"
#include "open_beneath.h"
#include "thread_pool.h"

namespace yore {
namespace {

class FileCallsTask final : public Task {
 public:
  FileCallsTask(std::string root, Bytes program) : root_(std::move(root)), program_(program) {}

  void Execute() override { failures_ = CarryOut(root_, program_, nullptr); }

  napi_value Complete(napi_env env) override { return MakeInt32Array(env, failures_); }

 private:
  const std::string root_;
  const Bytes program_;
  std::vector<int32_t> failures_;
};

napi_value RunFileCalls(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  std::string root;
  Bytes program;
  if (!GetPath(env, arguments[0], "root", &root)) return nullptr;
  if (!GetBytes(env, arguments[1], "program", &program)) return nullptr;
  auto task = std::make_unique<FileCallsTask>(std::move(root), program);
  if (!task->Hold(env, arguments[1])) return nullptr;
  return Submit(env, std::move(task), Lane::kBlocking);
}

class OpenBeneathTask final : public Task {
 public:
  OpenBeneathTask(std::string root, std::string path, int flags)
      : root_(std::move(root)), path_(std::move(path)), flags_(flags) {}
  ~OpenBeneathTask() override {
    // Dropped at the end of the environment, before anybody got the descriptor.
    if (fd_ >= 0) close(fd_);
  }

  void Execute() override {
    fd_ = OpenBeneathRoot(root_, path_, flags_ | O_NOFOLLOW, flags_ & O_CREAT ? 0600 : 0);
    if (fd_ < 0) error_ = errno;
  }

  napi_value Complete(napi_env env) override {
    if (fd_ < 0) return ThrowSystemError(env, error_, "open", path_);
    napi_value result = MakeNumber(env, fd_);
    fd_ = -1;
    return result;
  }

 private:
  const std::string root_;
  const std::string path_;
  const int flags_;
  int fd_ = -1;
  int error_ = 0;
};

napi_value OpenBeneath(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  std::string root, path;
  int32_t flags;
  if (!GetPath(env, arguments[0], "root", &root) || !GetPath(env, arguments[1], "path", &path)) return nullptr;
  if (!GetInt32(env, arguments[2], "flags", &flags)) return nullptr;
  return Submit(env, std::make_unique<OpenBeneathTask>(std::move(root), std::move(path), flags), Lane::kBlocking);
}

class ListXattrsTask final : public Task {
 public:
  explicit ListXattrsTask(std::string path) : path_(std::move(path)) {}

  void Execute() override { error_ = ListXattrNames(path_, &names_); }

  napi_value Complete(napi_env env) override {
    if (error_ != 0) return ThrowSystemError(env, error_, "llistxattr", path_);
    return MakeBufferCopy(env, names_.data(), names_.size());
  }

 private:
  const std::string path_;
  std::string names_;
  int error_ = 0;
};

napi_value ListXattrs(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  std::string path;
  if (!GetPath(env, arguments[0], "path", &path)) return nullptr;
  return Submit(env, std::make_unique<ListXattrsTask>(std::move(path)), Lane::kBlocking);
}

}  // namespace

void RegisterMetadata(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "runFileCalls", RunFileCalls);
  ExportFunction(env, exports, "openBeneath", OpenBeneath);
  ExportFunction(env, exports, "listXattrNames", ListXattrs);
}

}  // namespace yore
