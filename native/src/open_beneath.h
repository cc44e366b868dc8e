// Ways into a directory that nobody can lead elsewhere, by a symbolic link or by "..".
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <string>

#include "file_descriptor.h"

namespace yore {

#ifdef O_PATH
// Enough to work in a directory, and possible without the right to list it.
constexpr int kEnter = O_PATH | O_DIRECTORY | O_CLOEXEC;
#else
constexpr int kEnter = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
#endif

// One component of a path: nothing that could lead elsewhere.
bool IsPlainName(const std::string& name);

// Opens a path beneath `root`, following no symbolic link and no "..". "" is the root itself. -1: errno.
int OpenBeneath(int root, const std::string& path, int flags, mode_t mode);

// The same beneath the directory at a path.
int OpenBeneathRoot(const std::string& root, const std::string& path, int flags, mode_t mode);

}  // namespace yore
