// A pack that grows in a file without a name: what is sealed goes there in the hop that seals it, is hashed on the way, and
// never comes to JavaScript. src/native/pack-file-functions.ts says what the functions take and give.
//
// Several hops may work at the same file: each seals by itself and then puts what it has at the end, which is a copy into
// the page cache and a hash, a fraction of the sealing. After a failed write or fsync the file takes nothing more,
// and gets no name.

#include <errno.h>

#include <algorithm>
#include <mutex>

#include "addon.h"
#include "bytes_list.h"
#include "crypto.h"
#include "handles.h"
#include "napi_helpers.h"
#include "seal_task.h"
#include "thread_pool.h"
#include "unnamed_file.h"
#include "written_pages.h"

namespace yore {
namespace {

constexpr napi_type_tag kPackFileTag = {0x2b94e07d61c3f85a, 0x93d70a5e4f18b6c2};

// What is sealed is put into the file in portions of about this size: it is in the cache of the processor still.
constexpr size_t kPortionBytes = 256 * 1024;

// Offsets in a pack are 32 bits.
constexpr uint64_t kMaxPackBytes = UINT32_MAX;

class PackFile {
 public:
  int Open(const std::string& folder, const std::string& temporary_name, mode_t mode) {
    return file_.Open(folder, temporary_name, mode);
  }

  // Returns 0 or an errno, and where the bytes are.
  int Append(std::vector<iovec> parts, uint32_t* offset) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const int error = Refusal()) return error;
    Sha256Message hash(hash_);
    for (const iovec& part : parts)
      Sha256Lanes(&hash, static_cast<const uint8_t*>(part.iov_base), part.iov_len).Finish();
    return Put(std::move(parts), std::move(hash), offset);
  }

  // The same with what a plaintext was sealed to, unless it is no longer what its ID says: then nothing is appended. It is
  // hashed in the lane that the pack leaves free.
  int AppendIfRight(Bytes sealed, Bytes plaintext, const uint8_t* id, uint32_t* offset, bool* is_right) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const int error = Refusal()) return error;
    Sha256Message hash(hash_);
    Sha256Lanes lanes(&hash, sealed.data, sealed.size);
    uint8_t found[kHashSize];
    const HashInput input = {plaintext.data, plaintext.size, found};
    lanes.Hash(&input, 1);
    lanes.Finish();
    *is_right = memcmp(found, id, kHashSize) == 0;
    return *is_right ? Put({{sealed.data, sealed.size}}, std::move(hash), offset) : 0;
  }

  // No more is taken; what there is, is on the disk when this returns.
  int Finish(mode_t mode, bool keeps_cached, uint8_t id[kHashSize]) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (error_ != 0) return error_;
    if (!IsGrowing()) return EBADF;
    is_finished_ = true;
    hash_.Finish(id);
    error_ = MakeDurable(mode, keeps_cached);
    return error_;
  }

  int Load(OwnedBytes* bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (error_ != 0) return error_;
    if (!file_.is_open()) return EBADF;
    *bytes = OwnedBytes(static_cast<size_t>(length_));
    return file_.Read(bytes->data.get(), bytes->size, 0);
  }

  int Commit(const std::string& path) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (error_ != 0) return error_;
    if (!file_.is_open() || !is_finished_) return EBADF;
    const int error = file_.GiveName(path, true);
    if (error != 0) return error;
    file_.Close();
    const int sync_error = SyncFolder(path.substr(0, path.rfind('/')));
    // A folder that may be written but not read cannot be opened.
    return sync_error == EACCES ? 0 : sync_error;
  }

  void Discard() {
    std::lock_guard<std::mutex> lock(mutex_);
    file_.Close();
  }

 private:
  bool IsGrowing() const { return file_.is_open() && !is_finished_; }

  int Refusal() const { return error_ != 0 ? error_ : IsGrowing() ? 0 : EBADF; }

  int MakeDurable(mode_t mode, bool keeps_cached) {
    if (const int error = file_.CheckLength(length_)) return error;
    if (const int error = file_.Sync()) return error;
    if (!keeps_cached) ForgetWrittenPages(file_.fd());
    return file_.ChangeMode(mode);
  }

  // `hash`: of all that is there, with the parts.
  int Put(std::vector<iovec> parts, Sha256Message hash, uint32_t* offset) {
    uint64_t size = 0;
    for (const iovec& part : parts) size += part.iov_len;
    if (length_ + size > kMaxPackBytes) return EFBIG;
    *offset = static_cast<uint32_t>(length_);
    hash_ = std::move(hash);
    error_ = file_.Write(std::move(parts));
    // Whether it may stay in the cache is not known before the end.
    if (error_ == 0) StartWritingBack(file_.fd(), length_, size);
    length_ += size;
    return error_;
  }

  std::mutex mutex_;
  UnnamedFile file_;
  Sha256Message hash_;
  uint64_t length_ = 0;
  bool is_finished_ = false;
  // Of the first write that failed, or of Finish.
  int error_ = 0;
};

// Of all these calls: rejects with the system's error.
class PackFileTask : public Task {
 public:
  PackFileTask(std::shared_ptr<PackFile> file, const char* syscall) : file_(std::move(file)), syscall_(syscall) {}

  napi_value Complete(napi_env env) override {
    return error_ != 0 ? ThrowSystemError(env, error_, syscall_, path_) : Result(env);
  }

 protected:
  virtual napi_value Result(napi_env env) { return Undefined(env); }

  const std::shared_ptr<PackFile> file_;
  const char* const syscall_;
  std::string path_;
  int error_ = 0;
};

class OpenTask final : public PackFileTask {
 public:
  OpenTask(std::string folder, std::string temporary_name, mode_t mode)
      : PackFileTask(std::make_shared<PackFile>(), "open"), temporary_name_(std::move(temporary_name)), mode_(mode) {
    path_ = std::move(folder);
  }
  void Execute() override { error_ = file_->Open(path_, temporary_name_, mode_); }

 protected:
  napi_value Result(napi_env env) override { return MakeHandle<PackFile>(env, file_, &kPackFileTag); }

 private:
  const std::string temporary_name_;
  const mode_t mode_;
};

class AppendTask final : public PackFileTask {
 public:
  explicit AppendTask(std::shared_ptr<PackFile> file) : PackFileTask(std::move(file), "write") {}
  std::vector<Bytes> pieces;

  void Execute() override {
    std::vector<iovec> parts;
    for (const Bytes& piece : pieces)
      if (piece.size > 0) parts.push_back({piece.data, piece.size});
    error_ = file_->Append(std::move(parts), &offset_);
  }

 protected:
  napi_value Result(napi_env env) override { return MakeUint32(env, offset_); }

 private:
  uint32_t offset_ = 0;
};

class SealTask final : public AnySealTask {
 public:
  explicit SealTask(std::shared_ptr<PackFile> file) : file_(std::move(file)) {}

  void Execute() override {
    // Kept by its thread: memory that is mapped anew for each hop costs more than what is done in it.
    thread_local Scratch scratch;
    places_.resize(2 * plaintexts.size());
    size_t largest = 0;
    for (const Bytes& plaintext : plaintexts) largest = std::max(largest, CompressBound(plaintext.size));
    const size_t room = kPortionBytes + largest + kSealOverhead;
    uint8_t* memory = scratch.Reserve(room);
    size_t used = 0;
    size_t first = 0;
    for (size_t i = 0; i < plaintexts.size() && error_ == 0; i++) {
      if (plaintexts[i].size >= kPortionBytes && ChecksIds() && !IsChecked(i)) {
        Put(memory, used, first, i);
        SealLarge(i, {memory, room});
        first = i + 1;
        used = 0;
        continue;
      }
      const Bytes rest = {memory + used, room - used};
      const size_t length = IsRight(i) ? SealInto(*key, plaintexts[i], levels[i], verify, rest) : 0;
      places_[2 * i + 1] = static_cast<uint32_t>(length);
      used += length;
      if (used < kPortionBytes) continue;
      Put(memory, used, first, i + 1);
      first = i + 1;
      used = 0;
    }
    if (error_ == 0) Put(memory, used, first, plaintexts.size());
  }

  napi_value Complete(napi_env env) override {
    return error_ != 0 ? ThrowSystemError(env, error_, "write") : MakeUint32Array(env, places_);
  }

 private:
  void Put(uint8_t* memory, size_t size, size_t first, size_t end) {
    uint32_t offset = 0;
    if (size > 0 && error_ == 0) error_ = file_->Append({{memory, size}}, &offset);
    for (size_t i = first; i < end; i++) {
      places_[2 * i] = offset;
      offset += places_[2 * i + 1];
    }
  }

  // Its two hashes side by side: a first backup of 3 GiB of large files takes 6.8 s instead of 7.7.
  void SealLarge(size_t i, Bytes memory) {
    if (error_ != 0) return;
    const size_t length = SealInto(*key, plaintexts[i], levels[i], verify, memory);
    uint32_t offset = 0;
    bool is_right = false;
    if (length > 0) error_ = file_->AppendIfRight({memory.data, length}, plaintexts[i], Id(i), &offset, &is_right);
    places_[2 * i] = offset;
    places_[2 * i + 1] = is_right ? static_cast<uint32_t>(length) : 0;
  }

  const std::shared_ptr<PackFile> file_;
  // Offset and length of each.
  std::vector<uint32_t> places_;
  int error_ = 0;
};

class FinishTask final : public PackFileTask {
 public:
  FinishTask(std::shared_ptr<PackFile> file, mode_t mode, bool keeps_cached)
      : PackFileTask(std::move(file), "fsync"), mode_(mode), keeps_cached_(keeps_cached) {}
  void Execute() override { error_ = file_->Finish(mode_, keeps_cached_, id_); }

 protected:
  napi_value Result(napi_env env) override { return MakeBufferCopy(env, id_, sizeof id_); }

 private:
  const mode_t mode_;
  const bool keeps_cached_;
  uint8_t id_[kHashSize];
};

class LoadTask final : public PackFileTask {
 public:
  explicit LoadTask(std::shared_ptr<PackFile> file) : PackFileTask(std::move(file), "read") {}
  void Execute() override { error_ = file_->Load(&bytes_); }

 protected:
  napi_value Result(napi_env env) override { return MakeBuffer(env, std::move(bytes_)); }

 private:
  OwnedBytes bytes_;
};

class CommitTask final : public PackFileTask {
 public:
  CommitTask(std::shared_ptr<PackFile> file, std::string path) : PackFileTask(std::move(file), "rename") {
    path_ = std::move(path);
  }
  void Execute() override { error_ = file_->Commit(path_); }
};

class DiscardTask final : public PackFileTask {
 public:
  explicit DiscardTask(std::shared_ptr<PackFile> file) : PackFileTask(std::move(file), "close") {}
  void Execute() override { file_->Discard(); }
};

std::shared_ptr<PackFile> GetPackFile(napi_env env, napi_value value) {
  return GetHandle<PackFile>(env, value, "file", &kPackFileTag);
}

napi_value Open(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  std::string folder, temporary_name;
  int64_t mode;
  if (!GetPath(env, arguments[0], "folder", &folder) || !GetString(env, arguments[1], "temporaryName", &temporary_name) ||
      !GetInteger(env, arguments[2], "mode", 0, 0777, &mode))
    return nullptr;
  if (temporary_name.empty() || temporary_name.find_first_of(std::string("/\0", 2)) != std::string::npos) {
    ThrowRange(env, "temporaryName", "a file name");
    return nullptr;
  }
  auto task = std::make_unique<OpenTask>(std::move(folder), std::move(temporary_name), static_cast<mode_t>(mode));
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value Append(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  if (file == nullptr) return nullptr;
  auto task = std::make_unique<AppendTask>(std::move(file));
  if (!GetBytesList(env, arguments[1], "pieces", task.get(), &task->pieces)) return Abandon(env, std::move(task));
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value SealTo(napi_env env, napi_callback_info info) {
  Arguments<6> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  if (file == nullptr) return nullptr;
  auto task = std::make_unique<SealTask>(std::move(file));
  if (!task->Read(env, arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]))
    return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

napi_value SealPartsTo(napi_env env, napi_callback_info info) {
  Arguments<7> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  if (file == nullptr) return nullptr;
  auto task = std::make_unique<SealTask>(std::move(file));
  if (!task->ReadParts(env, arguments[1], arguments[2], arguments[3], arguments[4], arguments[5], arguments[6]))
    return Abandon(env, std::move(task));
  return Submit(env, std::move(task));
}

napi_value Finish(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  int64_t mode;
  bool keeps_cached;
  if (file == nullptr || !GetInteger(env, arguments[1], "mode", 0, 0777, &mode) ||
      !GetBool(env, arguments[2], "keepsCached", &keeps_cached))
    return nullptr;
  auto task = std::make_unique<FinishTask>(std::move(file), static_cast<mode_t>(mode), keeps_cached);
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value Load(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  return file == nullptr ? nullptr : Submit(env, std::make_unique<LoadTask>(std::move(file)), Lane::kBlocking);
}

napi_value Commit(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  std::string path;
  if (file == nullptr || !GetPath(env, arguments[1], "path", &path)) return nullptr;
  if (path.find('/', 1) == std::string::npos) {
    ThrowRange(env, "path", "a path with a folder");
    return nullptr;
  }
  return Submit(env, std::make_unique<CommitTask>(std::move(file), std::move(path)), Lane::kBlocking);
}

napi_value Discard(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  auto file = GetPackFile(env, arguments[0]);
  return file == nullptr ? nullptr : Submit(env, std::make_unique<DiscardTask>(std::move(file)), Lane::kBlocking);
}

}  // namespace

void RegisterPackFile(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "packFileOpen", Open);
  ExportFunction(env, exports, "packFileAppend", Append);
  ExportFunction(env, exports, "packFileSeal", SealTo);
  ExportFunction(env, exports, "packFileSealParts", SealPartsTo);
  ExportFunction(env, exports, "packFileFinish", Finish);
  ExportFunction(env, exports, "packFileLoad", Load);
  ExportFunction(env, exports, "packFileCommit", Commit);
  ExportFunction(env, exports, "packFileDiscard", Discard);
}

}  // namespace yore
