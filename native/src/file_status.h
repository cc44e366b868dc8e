// Permission bits and extended attributes of a name in an open directory; what the name is a link to stays as it is. All
// return an errno, 0 when it worked.
#pragma once

#include <sys/types.h>

#include <string>

#include "napi_helpers.h"

namespace yore {

// Whether this process reaches its open files by path, which not every rescue system lets it. Asked of the system once.
bool HasProc();

// Where only /proc could help and there is none, these three return ENOSYS.

// Links have no permission bits: they are left alone.
int ChangeMode(int directory, const std::string& name, mode_t mode);

// @param attribute its name, a zero, its value
int SetXattr(int directory, const std::string& name, Bytes attribute);

// Removes all but those whose names are given, each 0-terminated.
int KeepXattrs(int directory, const std::string& name, const std::string& names);

// Names of extended attributes, each 0-terminated; none where the file system has no such thing.
int ListXattrNames(const std::string& path, std::string* names);
int ListXattrNames(int directory, const std::string& name, std::string* names);

}  // namespace yore
