// Files that arrive bit by bit and must not be seen before they are whole: written and hashed in one hop, and given
// their name by one rename when the last byte is on the disk.
//
//   uploadOpen(folder, mode)        -> upload       a file without a name (O_TMPFILE)
//   uploadAppend(upload, pieces)                    SHA-256 and write(2) of all of them
//   uploadReceive(upload, socket, limit) -> bytes   the same of what has arrived on a connection, see body_socket.h
//   uploadCommit(upload, path, id)  -> outcome      compares the hash, fsync, rename, fsync of the folder
//   uploadDiscard(upload)
//   uploadWhole(path, mode, content, id) -> outcome all of it in one hop, for a small file
//
// From the fsync until then the file is called upload-tmp-<16 hex> beside its place, and where the file system knows no
// O_TMPFILE from the beginning.
// One call at a time for each upload; a second one rejects with EBUSY.

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "addon.h"
#include "body_socket.h"
#include "bytes_list.h"
#include "crypto.h"
#include "handles.h"
#include "napi_helpers.h"
#include "scratch.h"
#include "thread_pool.h"
#include "unnamed_file.h"
#include "written_pages.h"

namespace yore {
namespace {

constexpr napi_type_tag kUploadTag = {0x6c2f9d1837ab40e5, 0xb81d50e72c9f4a36};

struct Upload {
  UnnamedFile file;
  std::string folder;
  Sha256Stream hash;
  uint64_t length = 0;
  // Of the first write that failed: the hash is ahead of the file then, and nothing more is taken.
  int error = 0;
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

std::string TemporaryName() {
  uint8_t random[8];
  RandomBytes(random, sizeof random);
  char name[32];
  snprintf(name, sizeof name, "upload-tmp-%02x%02x%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2],
           random[3], random[4], random[5], random[6], random[7]);
  return name;
}

Failure OpenUpload(Upload& upload, const std::string& folder, mode_t mode) {
  upload.folder = folder;
  // The umask is for people; who may read a repository is decided by its server.
  return {upload.file.Open(folder, TemporaryName(), mode), "open"};
}

Failure AppendPieces(Upload& upload, const std::vector<Bytes>& pieces) {
  if (upload.error != 0) return {upload.error, "write"};
  std::vector<iovec> parts;
  uint64_t size = 0;
  for (const Bytes& piece : pieces) {
    if (piece.size == 0) continue;
    upload.hash.Update(piece.data, piece.size);
    parts.push_back({piece.data, piece.size});
    size += piece.size;
  }
  upload.error = upload.file.Write(std::move(parts));
  if (upload.error == 0) PassWrittenPages(upload.file.fd(), upload.length, size);
  upload.length += size;
  return {upload.error, "write"};
}

// Stays in the second-level cache between the kernel's copy, the hash and the write.
constexpr size_t kReceiveBytes = 256 * 1024;

// What is there, until the limit. `*received` becomes -1 when there is nothing and there will be no more.
Failure ReceivePieces(Upload& upload, int fd, uint64_t limit, int64_t* received) {
  static thread_local Scratch scratch;
  uint8_t* const memory = scratch.Reserve(kReceiveBytes);
  while (static_cast<uint64_t>(*received) < limit) {
    const size_t wanted = std::min<uint64_t>(kReceiveBytes, limit - static_cast<uint64_t>(*received));
    const ssize_t got = recv(fd, memory, wanted, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return {errno, "recv"};
    if (got == 0 && *received == 0) *received = -1;
    if (got <= 0) return {};
    const Failure failure = AppendPieces(upload, {{memory, static_cast<size_t>(got)}});
    if (failure.error != 0) return failure;
    *received += got;
  }
  return {};
}

// Packs. Smaller files (snapshots, indexes, locks) will soon be asked for.
constexpr uint64_t kForgottenBytes = 1024 * 1024;

enum Outcome : uint32_t { kSaved = 0, kExists = 1, kWrongHash = 2 };

// 32 bytes, or none when no hash is wanted.
using WantedHash = std::vector<uint8_t>;

Failure CommitUpload(Upload& upload, const std::string& path, const WantedHash& wanted, Outcome* outcome) {
  if (upload.error != 0) return {upload.error, "write"};
  uint8_t hash[kHashSize];
  upload.hash.Finish(hash);
  if (!wanted.empty() && !std::equal(wanted.begin(), wanted.end(), hash)) {
    *outcome = kWrongHash;
    return {};
  }
  if (const int error = upload.file.CheckLength(upload.length)) return {error, "write"};
  if (const int error = upload.file.Sync()) return {error, "fsync"};
  if (upload.length >= kForgottenBytes) ForgetWrittenPages(upload.file.fd());
  const int error = upload.file.GiveName(path, false);
  if (error == EEXIST) {
    *outcome = kExists;
    return {};
  }
  if (error != 0) return {error, "rename"};
  const int sync_error = SyncFolder(upload.folder);
  // The client is told that it failed, and comes again.
  if (sync_error != 0) unlink(path.c_str());
  return {sync_error, "fsync"};
}

class OpenTask final : public Task {
 public:
  OpenTask(std::string folder, mode_t mode) : folder_(std::move(folder)), mode_(mode) {}

  void Execute() override {
    upload_ = std::make_shared<Upload>();
    failure_ = OpenUpload(*upload_, folder_, mode_);
  }

  napi_value Complete(napi_env env) override {
    if (failure_.error != 0) return ThrowSystemError(env, failure_.error, failure_.call, folder_);
    return MakeHandle<Upload>(env, std::move(upload_), &kUploadTag);
  }

 private:
  const std::string folder_;
  const mode_t mode_;
  std::shared_ptr<Upload> upload_;
  Failure failure_;
};

class AppendTask final : public Task {
 public:
  explicit AppendTask(std::shared_ptr<Upload> upload) : turn_(std::move(upload)) {}

  void Execute() override {
    if (!turn_.taken() || !turn_.upload().file.is_open()) {
      failure_ = {turn_.taken() ? EBADF : EBUSY, "write"};
      return;
    }
    failure_ = AppendPieces(turn_.upload(), pieces);
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

class ReceiveTask final : public Task {
 public:
  ReceiveTask(std::shared_ptr<Upload> upload, std::shared_ptr<BodySocket> socket, uint64_t limit)
      : turn_(std::move(upload)), socket_(std::move(socket)), limit_(limit), has_socket_(!socket_->busy.exchange(true)) {}
  ~ReceiveTask() override { LeaveSocket(); }

  void Execute() override {
    if (!turn_.taken() || !has_socket_) {
      failure_ = {EBUSY, "recv"};
    } else if (!turn_.upload().file.is_open() || socket_->fd < 0) {
      failure_ = {EBADF, "recv"};
    } else {
      failure_ = ReceivePieces(turn_.upload(), socket_->fd, limit_, &received_);
    }
  }

  napi_value Complete(napi_env env) override {
    turn_.End();
    LeaveSocket();
    if (failure_.error != 0) return ThrowSystemError(env, failure_.error, failure_.call);
    return MakeNumber(env, static_cast<double>(received_));
  }

 private:
  void LeaveSocket() {
    if (has_socket_) socket_->busy = false;
    has_socket_ = false;
  }

  Turn turn_;
  const std::shared_ptr<BodySocket> socket_;
  const uint64_t limit_;
  bool has_socket_;
  int64_t received_ = 0;
  Failure failure_;
};

class CommitTask final : public Task {
 public:
  CommitTask(std::shared_ptr<Upload> upload, std::string path) : turn_(std::move(upload)), path_(std::move(path)) {}

  void Execute() override {
    if (!turn_.taken() || !turn_.upload().file.is_open()) {
      failure_ = {turn_.taken() ? EBADF : EBUSY, "rename"};
      return;
    }
    failure_ = CommitUpload(turn_.upload(), path_, wanted, &outcome_);
    turn_.upload().file.Close();
  }

  napi_value Complete(napi_env env) override {
    turn_.End();
    if (failure_.error != 0) return ThrowSystemError(env, failure_.error, failure_.call, path_);
    return MakeUint32(env, outcome_);
  }

  WantedHash wanted;

 private:
  Turn turn_;
  const std::string path_;
  Outcome outcome_ = kSaved;
  Failure failure_;
};

class WholeTask final : public Task {
 public:
  WholeTask(std::string path, mode_t mode) : path_(std::move(path)), mode_(mode) {}

  void Execute() override {
    struct stat status;
    // Before anything is written: what is there stays, whatever arrived.
    if (lstat(path_.c_str(), &status) == 0) {
      outcome_ = kExists;
      return;
    }
    const size_t slash = path_.rfind('/');
    Upload upload;
    failure_ = OpenUpload(upload, slash == std::string::npos ? "." : path_.substr(0, slash), mode_);
    if (failure_.error == 0) failure_ = AppendPieces(upload, {content});
    if (failure_.error == 0) failure_ = CommitUpload(upload, path_, wanted, &outcome_);
  }

  napi_value Complete(napi_env env) override {
    if (failure_.error != 0) return ThrowSystemError(env, failure_.error, failure_.call, path_);
    return MakeUint32(env, outcome_);
  }

  Bytes content;
  WantedHash wanted;

 private:
  const std::string path_;
  const mode_t mode_;
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

bool GetMode(napi_env env, napi_value value, mode_t* out) {
  int64_t mode;
  if (!GetInteger(env, value, "mode", 0, 0777, &mode)) return false;
  *out = static_cast<mode_t>(mode);
  return true;
}

bool GetWantedHash(napi_env env, napi_value value, WantedHash* out) {
  Bytes wanted;
  if (!IsNullish(env, value) && !GetBytesOfSize(env, value, "id", kHashSize, &wanted)) return false;
  if (wanted.size > 0) out->assign(wanted.data, wanted.data + wanted.size);
  return true;
}

napi_value Open(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  std::string folder;
  mode_t mode;
  if (!GetPath(env, arguments[0], "folder", &folder) || !GetMode(env, arguments[1], &mode)) return nullptr;
  return Submit(env, std::make_unique<OpenTask>(std::move(folder), mode), Lane::kBlocking);
}

napi_value Append(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto upload = GetHandle<Upload>(env, arguments[0], "upload", &kUploadTag);
  if (upload == nullptr) return nullptr;
  auto task = std::make_unique<AppendTask>(std::move(upload));
  if (!GetBytesList(env, arguments[1], "pieces", task.get(), &task->pieces)) return Abandon(env, std::move(task));
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value Receive(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  auto upload = GetHandle<Upload>(env, arguments[0], "upload", &kUploadTag);
  auto socket = upload != nullptr ? GetBodySocket(env, arguments[1]) : nullptr;
  int64_t limit;
  if (socket == nullptr || !GetInteger(env, arguments[2], "limit", 1, INT64_C(1) << 53, &limit)) return nullptr;
  auto task = std::make_unique<ReceiveTask>(std::move(upload), std::move(socket), static_cast<uint64_t>(limit));
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value Commit(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  auto upload = GetHandle<Upload>(env, arguments[0], "upload", &kUploadTag);
  std::string path;
  if (upload == nullptr || !GetPath(env, arguments[1], "path", &path)) return nullptr;
  auto task = std::make_unique<CommitTask>(std::move(upload), std::move(path));
  if (!GetWantedHash(env, arguments[2], &task->wanted)) return nullptr;
  return Submit(env, std::move(task), Lane::kSyncing);
}

napi_value Whole(napi_env env, napi_callback_info info) {
  Arguments<4> arguments(env, info);
  std::string path;
  mode_t mode;
  if (!GetPath(env, arguments[0], "path", &path) || !GetMode(env, arguments[1], &mode)) return nullptr;
  auto task = std::make_unique<WholeTask>(std::move(path), mode);
  if (!GetWantedHash(env, arguments[3], &task->wanted)) return nullptr;
  if (!GetBytes(env, arguments[2], "content", &task->content)) return nullptr;
  if (!task->Hold(env, arguments[2])) return Abandon(env, std::move(task));
  return Submit(env, std::move(task), Lane::kSyncing);
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
  ExportFunction(env, exports, "uploadReceive", Receive);
  ExportFunction(env, exports, "uploadCommit", Commit);
  ExportFunction(env, exports, "uploadDiscard", Discard);
  ExportFunction(env, exports, "uploadWhole", Whole);
}

}  // namespace yore
