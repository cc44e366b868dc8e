// File system calls in batches: what a restore does to many small things (create, own, stamp, link, remove) is decided
// in TypeScript, written down as a program of calls, and carried out here in one hop.
//
// Every call works on a name inside a directory that was opened beneath the root without following any symbolic link
// (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, or component by component), so that neither a malicious snapshot nor
// somebody who swaps a directory for a link meanwhile can lead a call out of the target.
//
// A program is calls back to back, all numbers little-endian:
//
//   0        4             8             12      16       20         24         28    32       40            48
//   | kind   | name length | data length | first | second | mtime ns | atime ns | mode| wide   | atime s     | name | data
//
//   kind          name            data             first     second  wide
//   0 directory   path from root                                              what follows happens in it
//   1 write       new file        content
//   2 symlink     new link        target
//   3 node        new special                      st_mode           rdev
//   4 link        new name        path from root
//   5 owner       existing                         uid       gid
//   6 set xattr   existing        name 0 value
//   7 keep xattrs existing        names, each 0-terminated: all others are removed
//   8 times       existing                                           mtime s
//   9 mode        existing                         permission bits
//   10 remove     existing        (with all below it; absence is success)
//   11 rename     existing        new name
//   12 file       new file        content          uid       gid     mtime s  (permission bits at 28)
//   13 folder     new folder
//   14 write part new file        part, flags
//   15 file part  new file        part, flags      uid       gid     mtime s  (permission bits at 28)
//   16 piece                      part, flags      fd                offset
//
// Calls 1 to 4, 12, 14 and 15 first remove what bears the name unless it is a directory that is not empty; 13 leaves a
// directory that is there as it is. Calls 12 and 15 are 1, 5, 7, 8 and 9 through one descriptor, a third of the system
// calls; when only the content succeeded, its errno is told as a negative number, and all the rest has to be done in
// the long way. Calls 14 to 16 write the plaintext of a part (32 bits), with bit 0 of the flags (32 bits) leaving holes
// where blocks of the file are zero; 16 writes into an open file. They are left out, without a word, when their part
// has no plaintext: whoever has the parts knows why. A call 6 for which there is certainly no room, as one before it for the
// same name had none, fails without being tried. When a call that makes something fails, the calls that follow with
// the same name are left out; when a directory cannot be opened, all until the next one are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "napi_helpers.h"

namespace yore {

// Where the contents of calls 14 to 16 come from.
class PlaintextSource {
 public:
  virtual ~PlaintextSource() = default;
  // Verified bytes, valid until the next call. False when the part has none.
  virtual bool Open(uint32_t part, Bytes* plaintext) = 0;
};

// Carries out a program below a root. Returns pairs: the position of a call that failed, its errno (see above).
std::vector<int32_t> CarryOut(const std::string& root, Bytes program, PlaintextSource* parts);

}  // namespace yore
