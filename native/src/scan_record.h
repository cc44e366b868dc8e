// An entry of a directory with everything that a snapshot keeps of it but its content, packed as follows (little endian,
// each record padded to 8 bytes; src/native/scan-functions.ts has the same numbers):
//
//     0 u32 length of the record      4 u32 length of the name
//     8 u32 length of the target     12 u32 length of the attributes
//    16 i32 errno of lstat           20 i32 errno of the list of attributes
//    24 i32 errno of readlink        28 u32 st_mode
//    32 u32 st_uid                   36 u32 st_gid
//    40 u64 st_dev                   48 u64 st_ino
//    56 u64 st_nlink                 64 u64 st_rdev
//    72 i64 st_size                  80 i64 st_blocks
//    88 i64 atime, seconds           96 i64 mtime, seconds       104 i64 ctime, seconds
//   112 u32 atime, nanoseconds      116 u32 mtime, nanoseconds   120 u32 ctime, nanoseconds
//   124 i32 errno of the content
//   128 name | target | attributes
//
// and an attribute as u32 length of the name, u32 length of the value, name, value; a value that could not be read
// has the length 0xffffffff and no bytes. The record of a file that was read has no target: the length of the target is
// that of its content. Where there is content, the name is the SHA-256 of it; otherwise there is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace yore {

constexpr size_t kScanRecordFixedLength = 128;
constexpr uint32_t kUnreadableAttribute = 0xffffffff;

template <typename T>
T GetAt(const uint8_t* record, size_t at) {
  T value;
  memcpy(&value, record + at, sizeof value);
  return value;
}

}  // namespace yore
