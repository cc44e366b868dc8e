// The contents of small files, many to a hop.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "crypto.h"
#include "file_descriptor.h"
#include "file_status.h"
#include "napi_helpers.h"
#include "scan_record.h"
#include "scan_record_writer.h"
#include "sha256_lanes.h"
#include "thread_pool.h"

namespace yore {
namespace {

// So much is read before it is hashed.
constexpr size_t kBatchBytes = size_t{128} << 10;

#ifndef O_NOATIME
#define O_NOATIME 0
#endif

// A file on which somebody has a lease (Samba, an NFS server for its clients) is asked back by the kernel, which tells who
// will not wait EAGAIN. The file is waited for, and no pipe that has taken its place.
int OpenLeased(const char* path, int flags) {
#ifdef O_PATH
  const FileDescriptor file(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (file.get() < 0 || fstat(file.get(), &status) != 0) return -1;
  if (S_ISREG(status.st_mode) && HasProc())
    return open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), flags & ~(O_NOFOLLOW | O_NONBLOCK));
#endif
  errno = EAGAIN;
  return -1;
}

// Without touching the access time where that is allowed (to the owner and root).
int OpenForReading(const char* path) {
  int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME;
  int descriptor = open(path, flags);
  if (descriptor < 0 && errno == EPERM) {
    flags &= ~O_NOATIME;
    descriptor = open(path, flags);
  }
  return descriptor < 0 && errno == EAGAIN ? OpenLeased(path, flags) : descriptor;
}

// Reads small files whole, each into its own stretch of one buffer, and hashes them while they are in the caches. One
// that does not fit is reported with EFBIG.
class ReadFilesTask final : public Task {
 public:
  struct File {
    std::string path;
    size_t room;
  };

  ReadFilesTask(std::vector<File> files, uint8_t* into) : files_(std::move(files)), into_(into) {}

  void Execute() override {
    uint8_t* at = into_;
    for (const File& file : files_) {
      size_t start = BeginRecord(&out_, "");
      size_t length = 0;
      Put(&out_, start + 124, static_cast<int32_t>(ReadFile(file, start, at, &length)));
      Put(&out_, start + 8, static_cast<uint32_t>(length));
      if (length > 0) {
        Put(&out_, start + 4, static_cast<uint32_t>(kHashSize));
        // Its place has to be there before anything is hashed.
        const size_t hash_at = out_.size();
        out_.resize(hash_at + kHashSize);
        HashLater(at, length, hash_at);
      }
      EndRecord(&out_, start);
      at += file.room;
    }
    HashNow();
  }

  napi_value Complete(napi_env env) override { return MakeBufferCopy(env, out_.data(), out_.size()); }

 private:
  // A content, and where in the records its hash goes. Several are hashed at a time, while they are in the caches.
  void HashLater(const uint8_t* content, size_t length, size_t record_at) {
    contents_.push_back({content, length, nullptr});
    hashes_at_.push_back(record_at);
    waiting_bytes_ += length;
    if (contents_.size() > 1 && waiting_bytes_ >= kBatchBytes) HashNow();
  }

  void HashNow() {
    for (size_t i = 0; i < contents_.size(); i++) contents_[i].hash = out_.data() + hashes_at_[i];
    Sha256All(contents_.data(), contents_.size());
    contents_.clear();
    hashes_at_.clear();
    waiting_bytes_ = 0;
  }

  int ReadFile(const File& file, size_t record, uint8_t* into, size_t* length) {
    int descriptor = OpenForReading(file.path.c_str());
    if (descriptor < 0) return errno;
    struct stat st;
    int problem = 0;
    if (fstat(descriptor, &st) != 0) {
      problem = errno;
    } else {
      PutStat(&out_, record, st);
      if (S_ISREG(st.st_mode)) problem = ReadContent(descriptor, into, file.room, length);
    }
    close(descriptor);
    return problem;
  }

  // The room has a byte more than the file is expected to have, so that its end is seen.
  static int ReadContent(int descriptor, uint8_t* into, size_t room, size_t* length) {
    bool is_cold = false;
    size_t filled = ReadCached(descriptor, into, room, &is_cold);
    while (filled < room) {
      ssize_t got = read(descriptor, into + filled, room - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) {
        *length = filled;
#ifdef POSIX_FADV_DONTNEED
        if (is_cold) posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
#endif
        return 0;
      }
      filled += static_cast<size_t>(got);
    }
    return EFBIG;
  }

  // Reads what is in the kernel's cache. A file of which nothing is need not stay there on account of a backup: see
  // page_cache.cc.
  static size_t ReadCached(int descriptor, uint8_t* into, size_t room, bool* is_cold) {
#ifdef RWF_NOWAIT
    const iovec part = {into, room};
    const ssize_t got = preadv2(descriptor, &part, 1, -1, RWF_NOWAIT);
    *is_cold = got < 0 && errno == EAGAIN;
    if (got > 0) return static_cast<size_t>(got);
#endif
    return 0;
  }

  std::vector<File> files_;
  uint8_t* into_;
  std::vector<uint8_t> out_;
  std::vector<HashInput> contents_;
  std::vector<size_t> hashes_at_;
  size_t waiting_bytes_ = 0;
};

// readSmallFiles(paths, rooms, into): Promise<Buffer> of a record for each; every path ends with a zero byte, and file i
// gets the next `rooms[i]` bytes of `into`
napi_value ReadSmallFiles(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Bytes paths;
  std::vector<uint32_t> rooms;
  Bytes into;
  if (!GetBytes(env, arguments[0], "paths", &paths)) return nullptr;
  if (!GetAllNumbers(env, arguments[1], "rooms", napi_uint32_array, "a Uint32Array", &rooms)) return nullptr;
  if (!GetBytes(env, arguments[2], "into", &into)) return nullptr;
  std::vector<ReadFilesTask::File> files(rooms.size());
  const char* at = reinterpret_cast<const char*>(paths.data);
  size_t left = paths.size;
  size_t room_left = into.size;
  for (size_t i = 0; i < files.size(); i++) {
    const size_t length = left == 0 ? 0 : strnlen(at, left);
    if (length == 0 || length == left) {
      ThrowRange(env, "paths", "a path for each room, with a zero byte behind it");
      return nullptr;
    }
    if (rooms[i] > room_left) {
      ThrowRange(env, "into", "room for all files");
      return nullptr;
    }
    files[i] = {std::string(at, length), rooms[i]};
    at += length + 1;
    left -= length + 1;
    room_left -= rooms[i];
  }
  if (left > 0) {
    ThrowRange(env, "rooms", "one for each path");
    return nullptr;
  }
  auto task = std::make_unique<ReadFilesTask>(std::move(files), into.data);
  if (!task->Hold(env, arguments[2])) return Abandon(env, std::move(task));
  return Submit(env, std::move(task), Lane::kBlocking);
}

}  // namespace

void RegisterSmallFiles(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "readSmallFiles", ReadSmallFiles);
}

}  // namespace yore
