// Writing records as scan_record.h draws them.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "scan_record.h"
#include "stat_times.h"

namespace yore {

template <typename T>
inline void Put(std::vector<uint8_t>* out, size_t at, T value) {
  // Every machine that Node.js runs on here is little endian; the reader in TypeScript says so too.
  memcpy(out->data() + at, &value, sizeof value);
}

inline void PutBytes(std::vector<uint8_t>* out, const void* data, size_t size) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  out->insert(out->end(), bytes, bytes + size);
}

// Appends the fixed part of a record and its name; returns where the record begins.
inline size_t BeginRecord(std::vector<uint8_t>* out, const std::string& name) {
  size_t start = out->size();
  out->resize(start + kScanRecordFixedLength);
  Put(out, start + 4, static_cast<uint32_t>(name.size()));
  PutBytes(out, name.data(), name.size());
  return start;
}

inline void PutStat(std::vector<uint8_t>* out, size_t start, const struct stat& st) {
  Put(out, start + 28, static_cast<uint32_t>(st.st_mode));
  Put(out, start + 32, static_cast<uint32_t>(st.st_uid));
  Put(out, start + 36, static_cast<uint32_t>(st.st_gid));
  Put(out, start + 40, static_cast<uint64_t>(st.st_dev));
  Put(out, start + 48, static_cast<uint64_t>(st.st_ino));
  Put(out, start + 56, static_cast<uint64_t>(st.st_nlink));
  Put(out, start + 64, static_cast<uint64_t>(st.st_rdev));
  Put(out, start + 72, static_cast<int64_t>(st.st_size));
  Put(out, start + 80, static_cast<int64_t>(st.st_blocks));
  Put(out, start + 88, static_cast<int64_t>(st.st_atim.tv_sec));
  Put(out, start + 96, static_cast<int64_t>(st.st_mtim.tv_sec));
  Put(out, start + 104, static_cast<int64_t>(st.st_ctim.tv_sec));
  Put(out, start + 112, static_cast<uint32_t>(st.st_atim.tv_nsec));
  Put(out, start + 116, static_cast<uint32_t>(st.st_mtim.tv_nsec));
  Put(out, start + 120, static_cast<uint32_t>(st.st_ctim.tv_nsec));
}

inline void EndRecord(std::vector<uint8_t>* out, size_t start) {
  out->resize((out->size() + 7) & ~static_cast<size_t>(7));
  Put(out, start, static_cast<uint32_t>(out->size() - start));
}

}  // namespace yore
