#include "written_pages.h"

#include <fcntl.h>

#include <algorithm>

namespace yore {
namespace {

// One request to the disk a step is few enough, and many steps fit into what may be dirty.
constexpr uint64_t kStep = uint64_t{4} << 20;
// What was begun to be written back so many bytes ago is on the disk, as a rule.
constexpr uint64_t kDelay = uint64_t{32} << 20;
// What was not, is tried so often again.
constexpr uint64_t kTries = 8;

}  // namespace

void PassWrittenPages(int fd, uint64_t offset, uint64_t size) {
#if defined(__linux__) && defined(SYNC_FILE_RANGE_WRITE)
  const uint64_t end = offset + size;
  const uint64_t full = end / kStep * kStep;
  const uint64_t from = offset / kStep * kStep;
  if (full <= from) return;
  sync_file_range(fd, static_cast<off_t>(from), static_cast<off_t>(full - from), SYNC_FILE_RANGE_WRITE);
  if (full <= kDelay) return;
  const uint64_t behind = full - kDelay;
  const uint64_t start = behind - std::min(behind, full - from + kTries * kStep);
  posix_fadvise(fd, static_cast<off_t>(start), static_cast<off_t>(behind - start), POSIX_FADV_DONTNEED);
#endif
}

void ForgetWrittenPages(int fd) {
#ifdef POSIX_FADV_DONTNEED
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
#endif
}

}  // namespace yore
