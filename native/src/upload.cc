// Files that arrive bit by bit and must not be seen before they are whole: written and hashed in one hop, and given
// their name by one link(2) when the last byte is on the disk.
//
//   uploadOpen(folder, mode)        -> upload       a file without a name (O_TMPFILE): whatever dies, nothing is left
//   uploadAppend(upload, pieces)                    SHA-256 and write(2) of all of them
//   uploadCommit(upload, path, id)  -> outcome      compares the hash, fsync, link, fsync of the folder
//   uploadDiscard(upload)
//
// Where the file system knows no O_TMPFILE the file is called upload-tmp-<16 hex> beside its place until then.
// One call at a time for each upload; a second one rejects with EBUSY.

#include <errno.h>
#include <stdio.h>

#include <algorithm>
#include <atomic>

#include "addon.h"
#include "bytes_list.h"
#include "crypto.h"
#include "handles.h"
#include "napi_helpers.h"
#include "thread_pool.h"
#include "unnamed_file.h"

namespace yore {
namespace {

constexpr napi_type_tag kUploadTag = {0x6c2f9d1837ab40e5, 0xb81d50e72c9f4a36};

struct Upload {
  UnnamedFile file;
  std::string folder;
  Sha256Stream hash;
  std::atomic<bool> busy{false};
};

// A system call that failed.
struct Failure {
  int error = 0;
  const char* call = "";
};

// Held by a task while it works.
class Turn {
 public:
  explicit Turn(std::shared_ptr<Upload> upload) : upload_(std::move(upload)), taken_(!upload_->busy.exchange(true)) {}
  ~Turn() { End(); }
  // Before the promise is settled: whoever waited for it may call again at once.
  void End() {
    if (taken_ && !ended_) upload_->busy = false;
    ended_ = true;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool taken() const { return taken_; }
  Upload& upload() { return *upload_; }

 private:
  std::shared_ptr<Upload> upload_;
  const bool taken_;
  bool ended_ = false;
};

class OpenTask final : public Task {
 public:
  OpenTask(std::string folder, mode_t mode) : folder_(std::move(folder)), mode_(mode) {}

  void Execute() override {
    upload_ = std::make_shared<Upload>();
    upload_->folder = folder_;
    // The umask is for people; who may read a repository is decided by its server.
    error_ = upload_->file.Open(folder_, TemporaryName(), mode_);
  }

  napi_value Complete(napi_env env) override {
    if (error_ != 0) return ThrowSystemError(env, error_, "open", folder_);
    return MakeHandle<Upload>(env, std::move(upload_), &kUploadTag);
  }

 private:
  static std::string TemporaryName() {
    uint8_t random[8];
    RandomBytes(random, sizeof random);
    char name[32];
    snprintf(name, sizeof name, "upload-tmp-%02x%02x%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2],
             random[3], random[4], random[5], random[6], random[7]);
    return name;
  }

  const std::string folder_;
  const mode_t mode_;
  std::shared_ptr<Upload> upload_;
  int error_ = 0;
};

class AppendTask final : public Task {
 public:
  explicit AppendTask(std::shared_ptr<Upload> upload) : turn_(std::move(upload)) {}

  void Execute() override {
    if (!turn_.taken() || !turn_.upload().file.is_open()) {
      failure_ = {turn_.taken() ? EBADF : EBUSY, "write"};
      return;
    }
    std::vector<iovec> parts;
    for (const Bytes& piece : pieces) {
      if (piece.size == 0) continue;
      turn_.upload().hash.Update(piece.data, piece.size);
      parts.push_back({piece.data, piece.size});
    }
    failure_ = {turn_.upload().file.Write(std::move(parts)), "write"};
  }

  napi_value Complete(napi_env env) override {
    turn_.End();
    if (failure_.error != 0) return ThrowSystemError(env, failure_.error, failure_.call);
    return Undefined(env);
  }

  std::vector<Bytes> pieces;

 private:
  Turn turn_;
  Failure failure_;
};

enum Outcome : uint32_t { kSaved = 0, kExists = 1, kWrongHash = 2 };

class CommitTask final : public Task {
 public:
  CommitTask(std::shared_ptr<Upload> upload, std::string path) : turn_(std::move(upload)), path_(std::move(path)) {}

  void Execute() override {
    if (!turn_.taken() || !turn_.upload().file.is_open()) {
      failure_ = {turn_.taken() ? EBADF : EBUSY, "link"};
      return;
    }
    Commit(turn_.upload());
    turn_.upload().file.Close();
  }

  napi_value Complete(napi_env env) override {
    turn_.End();
    if (failure_.error != 0) return ThrowSystemError(env, failure_.error, failure_.call, path_);
    return MakeUint32(env, outcome_);
  }

  // 32 bytes, or none when no hash is wanted.
  std::vector<uint8_t> wanted;

 private:
  void Commit(Upload& upload) {
    uint8_t hash[kHashSize];
    upload.hash.Finish(hash);
    if (!wanted.empty() && !std::equal(wanted.begin(), wanted.end(), hash)) {
      outcome_ = kWrongHash;
      return;
    }
    failure_ = {upload.file.Sync(), "fsync"};
    if (failure_.error != 0) return;
    const int error = upload.file.GiveName(path_, false);
    if (error == EEXIST) outcome_ = kExists;
    else if (error != 0) failure_ = {error, "link"};
    else failure_ = {SyncFolder(upload.folder), "fsync"};
  }

  Turn turn_;
  const std::string path_;
  Outcome outcome_ = kSaved;
  Failure failure_;
};

class DiscardTask final : public Task {
 public:
  explicit DiscardTask(std::shared_ptr<Upload> upload) : turn_(std::move(upload)) {}

  void Execute() override {
    // Giving back many megabytes takes the file system its time.
    if (turn_.taken()) turn_.upload().file.Close();
  }

  napi_value Complete(napi_env env) override {
    turn_.End();
    if (!turn_.taken()) return ThrowSystemError(env, EBUSY, "close");
    return Undefined(env);
  }

 private:
  Turn turn_;
};

napi_value Open(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  std::string folder;
  int64_t mode;
  if (!GetPath(env, arguments[0], "folder", &folder)) return nullptr;
  if (!GetInteger(env, arguments[1], "mode", 0, 0777, &mode)) return nullptr;
  return Submit(env, std::make_unique<OpenTask>(std::move(folder), static_cast<mode_t>(mode)), Lane::kBlocking);
}

napi_value Append(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto upload = GetHandle<Upload>(env, arguments[0], "upload", &kUploadTag);
  if (upload == nullptr) return nullptr;
  auto task = std::make_unique<AppendTask>(std::move(upload));
  if (!GetBytesList(env, arguments[1], "pieces", task.get(), &task->pieces)) return Abandon(env, std::move(task));
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value Commit(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  auto upload = GetHandle<Upload>(env, arguments[0], "upload", &kUploadTag);
  std::string path;
  if (upload == nullptr || !GetPath(env, arguments[1], "path", &path)) return nullptr;
  Bytes wanted;
  if (!IsNullish(env, arguments[2]) && !GetBytesOfSize(env, arguments[2], "id", kHashSize, &wanted)) return nullptr;
  auto task = std::make_unique<CommitTask>(std::move(upload), std::move(path));
  if (wanted.size > 0) task->wanted.assign(wanted.data, wanted.data + wanted.size);
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value Discard(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto upload = GetHandle<Upload>(env, arguments[0], "upload", &kUploadTag);
  if (upload == nullptr) return nullptr;
  return Submit(env, std::make_unique<DiscardTask>(std::move(upload)), Lane::kBlocking);
}

}  // namespace

void RegisterUpload(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "uploadOpen", Open);
  ExportFunction(env, exports, "uploadAppend", Append);
  ExportFunction(env, exports, "uploadCommit", Commit);
  ExportFunction(env, exports, "uploadDiscard", Discard);
}

}  // namespace yore
