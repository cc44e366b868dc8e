#include "fuse_mount.h"

#ifdef __linux__

#include <fcntl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "file_descriptor.h"
#include "fuse_channel.h"
#include "napi_helpers.h"
#include "thread_pool.h"

extern char** environ;

namespace yore {

namespace {

// The helper finds its socket at this descriptor; duplicates are made above kSafeDescriptor so that installing one
// does not overwrite another.
constexpr int kHelperSocket = 3;
constexpr int kSafeDescriptor = 10;

// Waits for exactly this child; libuv reaps only those that it knows.
int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

// Starts the helper. `socket` and `errors` become its descriptors 3 and 2 when they are not negative.
int SpawnHelper(const std::vector<std::string>& words, int socket, int errors, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  if (errors >= 0)
    posix_spawn_file_actions_adddup2(&actions, errors, 2);
  else
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  if (socket >= 0) posix_spawn_file_actions_adddup2(&actions, socket, kHelperSocket);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<char*> argv, envp;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::string variable = "_FUSE_COMMFD=" + std::to_string(kHelperSocket);
  for (char** entry = environ; *entry != nullptr; entry++) {
    if (strncmp(*entry, "_FUSE_COMMFD", 12) != 0) envp.push_back(*entry);
  }
  if (socket >= 0) envp.push_back(variable.data());
  envp.push_back(nullptr);

  int failure = posix_spawnp(pid, words[0].c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failure;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[1024];
  for (;;) {
    ssize_t length = read(fd, buffer, sizeof buffer);
    if (length > 0) {
      if (text.size() < 8192) text.append(buffer, static_cast<size_t>(length));
    } else if (length == 0 || errno != EINTR) {
      return text;
    }
  }
}

// The descriptor that came over the socket, or -1.
int ReceiveDescriptor(int socket) {
  char byte;
  struct iovec vector = {&byte, 1};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length;
  do {
    length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (length < 0 && errno == EINTR);
  if (length <= 0) return -1;
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

// --- mount(2) ---------------------------------------------------------------------------------------------------

class MountTask final : public Task {
 public:
  std::string mountpoint, source, type, data;
  uint64_t flags = 0;

  // Not handed over (the environment ended first): what nobody will serve must not stay mounted.
  ~MountTask() override {
    if (device_.get() >= 0) umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }

  void Execute() override {
    FileDescriptor device(open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (device.get() < 0) return Fail("open", "/dev/fuse");
    std::string options = "fd=" + std::to_string(device.get()) + "," + data;
    if (mount(source.c_str(), mountpoint.c_str(), type.c_str(), flags, options.c_str()) != 0)
      return Fail("mount", mountpoint);
    device_.Reset(device.Take());
  }

  napi_value Complete(napi_env env) override {
    if (error_ != 0) return ThrowSystemError(env, error_, syscall_, path_);
    return FuseChannel::Create(env, device_.Take());
  }

 private:
  void Fail(const char* syscall, const std::string& path) {
    error_ = errno;
    syscall_ = syscall;
    path_ = path;
  }
  FileDescriptor device_;
  int error_ = 0;
  const char* syscall_ = "";
  std::string path_;
};

// A mount lives for months beside the work of its machine. glibc keeps freed buffers of up to 32 MiB in its heap, where
// they stay in pieces: 50 to 70 MiB of them after all of a large tree was read. From 1 MiB on they go back at once.
void KeepMemorySmall() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
#endif
}

napi_value Mount(napi_env env, napi_callback_info info) {
  KeepMemorySmall();
  Arguments<5> arguments(env, info);
  auto task = std::make_unique<MountTask>();
  uint32_t flags;
  if (!GetPath(env, arguments[0], "mountpoint", &task->mountpoint) ||
      !GetString(env, arguments[1], "source", &task->source) || !GetString(env, arguments[2], "type", &task->type) ||
      !GetUint32(env, arguments[3], "flags", &flags) || !GetString(env, arguments[4], "data", &task->data))
    return nullptr;
  task->flags = flags;
  return Submit(env, std::move(task), Lane::kBlocking);
}

// --- fusermount3 ------------------------------------------------------------------------------------------------

class HelperMountTask final : public Task {
 public:
  std::string helper, mountpoint, options;

  ~HelperMountTask() override {
    pid_t pid;
    if (device_.get() >= 0 && SpawnHelper({helper, "-u", "-q", "-z", "--", mountpoint}, -1, -1, &pid) == 0)
      WaitFor(pid);
  }

  void Execute() override {
    int sockets[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return Fail("socketpair");
    FileDescriptor ours(sockets[0]), theirs(fcntl(sockets[1], F_DUPFD_CLOEXEC, kSafeDescriptor));
    close(sockets[1]);
    if (pipe2(pipes, O_CLOEXEC) != 0) return Fail("pipe2");
    FileDescriptor errors(pipes[0]), error_writer(fcntl(pipes[1], F_DUPFD_CLOEXEC, kSafeDescriptor));
    close(pipes[1]);
    if (theirs.get() < 0 || error_writer.get() < 0) return Fail("fcntl");

    pid_t pid;
    errno = SpawnHelper({helper, "-o", options, "--", mountpoint}, theirs.get(), error_writer.get(), &pid);
    if (errno != 0) return Fail("spawn");
    theirs.Reset();
    error_writer.Reset();
    // The helper sends the descriptor before it ends, and its end closes the pipe.
    words_ = ReadAll(errors.get());
    WaitFor(pid);
    FileDescriptor device(ReceiveDescriptor(ours.get()));
    if (device.get() < 0) {
      refused_ = true;
      return;
    }
    int status = fcntl(device.get(), F_GETFL);
    if (status < 0 || fcntl(device.get(), F_SETFL, status | O_NONBLOCK) != 0) Fail("fcntl");
    device_.Reset(device.Take());
  }

  napi_value Complete(napi_env env) override {
    if (error_ != 0) return ThrowSystemError(env, error_, syscall_, helper);
    if (refused_) {
      napi_throw_error(env, "ERR_FUSE_HELPER", words_.c_str());
      return nullptr;
    }
    return FuseChannel::Create(env, device_.Take());
  }

 private:
  void Fail(const char* syscall) {
    error_ = errno;
    syscall_ = syscall;
  }
  FileDescriptor device_;
  int error_ = 0;
  const char* syscall_ = "";
  bool refused_ = false;
  // What the helper printed.
  std::string words_;
};

napi_value MountWithHelper(napi_env env, napi_callback_info info) {
  KeepMemorySmall();
  Arguments<3> arguments(env, info);
  auto task = std::make_unique<HelperMountTask>();
  if (!GetString(env, arguments[0], "helper", &task->helper) ||
      !GetPath(env, arguments[1], "mountpoint", &task->mountpoint) ||
      !GetString(env, arguments[2], "options", &task->options))
    return nullptr;
  return Submit(env, std::move(task), Lane::kBlocking);
}

// --- umount2(2) -------------------------------------------------------------------------------------------------

class UnmountTask final : public Task {
 public:
  std::string mountpoint;
  int flags = 0;

  void Execute() override { error_ = umount2(mountpoint.c_str(), flags) == 0 ? 0 : errno; }

  napi_value Complete(napi_env env) override {
    return error_ == 0 ? Undefined(env) : ThrowSystemError(env, error_, "umount", mountpoint);
  }

 private:
  int error_ = 0;
};

napi_value Unmount(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto task = std::make_unique<UnmountTask>();
  if (!GetPath(env, arguments[0], "mountpoint", &task->mountpoint) ||
      !GetInt32(env, arguments[1], "flags", &task->flags))
    return nullptr;
  return Submit(env, std::move(task), Lane::kBlocking);
}

napi_value DetachNow(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  std::string mountpoint;
  if (!GetPath(env, arguments[0], "mountpoint", &mountpoint)) return nullptr;
  int error = umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
  return MakeUint32(env, static_cast<uint32_t>(error));
}

}  // namespace

void RegisterFuseMount(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "fuseMount", Mount);
  ExportFunction(env, exports, "fuseMountWithHelper", MountWithHelper);
  ExportFunction(env, exports, "fuseUnmount", Unmount);
  ExportFunction(env, exports, "fuseDetachNow", DetachNow);
}

}  // namespace yore

#endif
