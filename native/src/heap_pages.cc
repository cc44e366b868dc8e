#include "heap_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "addon.h"
#include "napi_helpers.h"

namespace yore {

namespace {

// Of x86-64, and of ARM with pages of 4 KiB.
constexpr size_t kHugePage = 2 * 1024 * 1024;

uintptr_t PageBytes() {
  static const auto bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

void AdviseRange(uintptr_t start, uintptr_t end) {
#if defined(MADV_HUGEPAGE)
  start = start / PageBytes() * PageBytes();
  end = end / PageBytes() * PageBytes();
  if (start < end) madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
#endif
}

#if defined(__GLIBC__)

// The heap grows by so much at a time, of which only what is used takes memory: with 4 MiB half of it was touched before it
// could be advised.
constexpr int kGrowth = 16 * 1024 * 1024;

uintptr_t HeapEnd() { return reinterpret_cast<uintptr_t>(sbrk(0)); }

// Where the heap ended when it was last looked at.
std::atomic<uintptr_t> advised_end{0};

#endif

}  // namespace

void PrepareHeap() {
#if defined(__GLIBC__)
  // glibc gives every thread an arena of its own, and freed blobs of all sizes stay behind in each: a mount that reads
  // 79,000 small files grew by 40 MiB for nothing.
  mallopt(M_ARENA_MAX, 2);
  // Of what is large each piece is mapped for itself, and goes back to the system when it is freed. Left alone, glibc stops
  // doing so once such a piece was freed: `ls` of 79,000 files took 130 MiB instead of 115, a restore 111 instead of 92.
  // What is smaller than a huge page comes from the heap, which has some.
  mallopt(M_MMAP_THRESHOLD, kHugePage);
  mallopt(M_TOP_PAD, kGrowth);
  uintptr_t unknown = 0;
  advised_end.compare_exchange_strong(unknown, HeapEnd());
#endif
}

void AdviseHeap() {
#if defined(__GLIBC__)
  const uintptr_t end = HeapEnd();
  uintptr_t start = advised_end.load(std::memory_order_relaxed);
  if (end == start || !advised_end.compare_exchange_strong(start, end)) return;
  // It may have shrunk.
  if (start < end) AdviseRange(start, end);
#endif
}

void* AllocatePages(size_t size) {
  if (size < kHugePage) return malloc(std::max(size, size_t{1}));
  void* memory = aligned_alloc(kHugePage, (size + kHugePage - 1) / kHugePage * kHugePage);
  const auto start = reinterpret_cast<uintptr_t>(memory);
  if (memory != nullptr) AdviseRange(start, start + size);
  return memory;
}

namespace {

napi_value UseHugePages(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Bytes memory;
  uint32_t wanted;
  if (!GetBytes(env, arguments[0], "memory", &memory) || !GetUint32(env, arguments[1], "bytes", &wanted)) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(memory.data);
  uintptr_t start = (begin + kHugePage - 1) / kHugePage * kHugePage;
  if (start - begin > memory.size || memory.size - (start - begin) < wanted) start = begin;
  AdviseRange(start, start + std::min<size_t>(wanted, memory.size));
  return MakeNumber(env, static_cast<double>(start - begin));
}

napi_value GiveBackPages(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  Bytes memory;
  if (!GetBytes(env, arguments[0], "memory", &memory)) return nullptr;
#if defined(__linux__)
  const auto start = reinterpret_cast<uintptr_t>(memory.data);
  // A huge page that lies in it only in part stays whole.
  const uintptr_t first = (start + PageBytes() - 1) / PageBytes() * PageBytes();
  const uintptr_t last = (start + memory.size) / kHugePage * kHugePage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
#endif
  return Undefined(env);
}

}  // namespace

void RegisterHeapPages(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "useHugePages", UseHugePages);
  ExportFunction(env, exports, "giveBackPages", GiveBackPages);
}

}  // namespace yore
