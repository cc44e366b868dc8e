#include "written_pages.h"

#include <fcntl.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>

namespace yore {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
// One request to the disk a step is few enough, and many steps fit into what may be dirty.
constexpr uint64_t kStep = 4 * kMebibyte;
// What was begun to be written back so many bytes ago is on the disk, as a rule. Of many uploads at once much is under way
// (200 of 64 MiB: 24 s with 64 MiB, 13 s with 16); several packs of a restored file are written at a time.
constexpr uint64_t kDelay = 16 * kMebibyte;
constexpr uint64_t kRestoreDelay = 64 * kMebibyte;
// What was not, is tried again until it lies so far behind.
constexpr uint64_t kReach = 64 * kMebibyte;
// A disk that has more than this of it still to write does not keep up.
constexpr uint64_t kMaxLag = 16 * kMebibyte;
// It is left alone while so much is written.
constexpr uint64_t kMinPause = 256 * kMebibyte;
constexpr uint64_t kMaxPause = 8192 * kMebibyte;

#if defined(__linux__) && defined(SYNC_FILE_RANGE_WRITE)

void StartWriteback(int fd, uint64_t from, uint64_t to) {
  sync_file_range(fd, static_cast<off_t>(from), static_cast<off_t>(to - from), SYNC_FILE_RANGE_WRITE);
}

// What is dirty stays.
void Forget(int fd, uint64_t from, uint64_t to) {
  posix_fadvise(fd, static_cast<off_t>(from), static_cast<off_t>(to - from), POSIX_FADV_DONTNEED);
}

// Whether a good part of the range is still to be written; true where the kernel (before 6.5) does not tell.
bool Lags(int fd, uint64_t from, uint64_t to) {
  constexpr long kCacheStat = 451;
  const struct {
    uint64_t offset, length;
  } range = {from, to - from};
  struct {
    uint64_t cached, dirty, in_writeback, evicted, recently_evicted;
  } pages = {};
  if (syscall(kCacheStat, fd, &range, &pages, 0) != 0) return true;
  return (pages.dirty + pages.in_writeback) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) > kMaxLag;
}

// Steps of a file that a write has made full, and what is let go of, so far behind them.
struct Steps {
  Steps(uint64_t offset, uint64_t size, uint64_t delay)
      : from(offset / kStep * kStep),
        to((offset + size) / kStep * kStep),
        behind(to > delay ? to - delay : 0),
        behind_from(behind - std::min(behind, to - from + kReach)) {}

  const uint64_t from, to;
  const uint64_t behind, behind_from;
};

#endif

}  // namespace

void StartWritingBack(int fd, uint64_t offset, uint64_t size) {
#if defined(__linux__) && defined(SYNC_FILE_RANGE_WRITE)
  const Steps steps(offset, size, kDelay);
  if (steps.from < steps.to) StartWriteback(fd, steps.from, steps.to);
#endif
}

void PassWrittenPages(int fd, uint64_t offset, uint64_t size) {
#if defined(__linux__) && defined(SYNC_FILE_RANGE_WRITE)
  const Steps steps(offset, size, kDelay);
  if (steps.from >= steps.to) return;
  StartWriteback(fd, steps.from, steps.to);
  if (steps.behind > 0) Forget(fd, steps.behind_from, steps.behind);
#endif
}

void PassRestoredPages(int fd, uint64_t offset, uint64_t size) {
#if defined(__linux__) && defined(SYNC_FILE_RANGE_WRITE)
  // Of all files: they are on one disk. That two threads may pause at once does no harm.
  static std::atomic<uint64_t> written{0}, paused_until{0}, pause{kMinPause};
  const uint64_t now = written += size;
  const Steps steps(offset, size, kRestoreDelay);
  // The first steps wait until it is known to be a large file.
  if (steps.from >= steps.to || steps.behind == 0 || now < paused_until) return;
  StartWriteback(fd, steps.from <= kRestoreDelay ? 0 : steps.from, steps.to);
  if (steps.behind <= kRestoreDelay) return;
  Forget(fd, steps.behind_from, steps.behind);
  if (Lags(fd, steps.behind_from, steps.behind)) {
    paused_until = now + pause;
    pause = std::min(2 * pause, kMaxPause);
  } else {
    pause = std::max(pause / 2, kMinPause);
  }
#endif
}

void ForgetWrittenPages(int fd) {
#ifdef POSIX_FADV_DONTNEED
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
#endif
}

}  // namespace yore
