// What is written and will not be read again soon need not stay in the kernel's cache until somebody needs the memory:
// it goes to the disk while more is written, and its pages come round again. Memory that is taken anew for every byte
// costs more than writing it: in a virtual machine whose host takes free pages back, 1.3 s of processor time a GiB against
// 0.2, and a restore of 3 GiB took 7.3 s and then 1.2 s of sync(1), and takes 5.2 s and nothing. What others have in the
// cache stays there, too.
#pragma once

#include <cstdint>

namespace yore {

// For `size` bytes just written at `offset`, after one another or nearly so: starts to write back the steps that are full
// with them. It never fails.
void StartWritingBack(int fd, uint64_t offset, uint64_t size);

// The same, and lets go of what lies well behind and is on the disk, of a file that will be synced.
void PassWrittenPages(int fd, uint64_t offset, uint64_t size);

// Both for a large file that nobody will sync. A disk that does not keep up is left alone for a while, each time a
// longer one: it has the packs to read, and what is written may wait in the memory that is there.
void PassRestoredPages(int fd, uint64_t offset, uint64_t size);

// Lets go of all of a file that is on the disk.
void ForgetWrittenPages(int fd);

}  // namespace yore
