#include "courtesy.h"

#include <sched.h>

#include <chrono>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace yore {

namespace {

// Those whom all wait for are soon done. Where it takes so long, another program computes, and whoever gives way to it after
// each task gets next to nothing: `grep -r` beside two busy loops took 49 s instead of 10.
constexpr auto kLongYield = std::chrono::milliseconds(25);
constexpr auto kPause = std::chrono::milliseconds(1000);

}  // namespace

#if defined(__linux__) && defined(SYS_sched_setattr)

namespace {

// `struct sched_attr` of the kernel, which C libraries did not have before 2024. The first version of it.
struct SchedulingAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  // Nanoseconds. For ordinary threads the length of a slice, of which the first is what they ask for.
  uint64_t runtime, deadline, period;
};

constexpr uint64_t kLongestSlice = 100'000'000;

}  // namespace

void AskForLongSlices() {
  SchedulingAttributes attributes = {};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  // Whoever gave this process another policy has their reasons.
  if (attributes.policy != SCHED_OTHER) return;
  attributes.size = sizeof attributes;
  attributes.runtime = kLongestSlice;
  attributes.deadline = attributes.period = 0;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

#else

void AskForLongSlices() {}

#endif

void LetOthersGoFirst() {
  using Clock = std::chrono::steady_clock;
  thread_local Clock::time_point pause_ends;
  const Clock::time_point before = Clock::now();
  if (before < pause_ends) return;
  sched_yield();
  const Clock::time_point after = Clock::now();
  if (after - before > kLongYield) pause_ends = after + kPause;
}

}  // namespace yore
