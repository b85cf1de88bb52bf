// The threads that run one kernel together on a device. Tests run the same kernels with a block of
// host threads, so nothing but these few calls is asked of a block.
#pragma once

#include "../base.hpp"

namespace gpures {

inline constexpr u32 kScratchBytes = 32768;  // of a block, for the kernel that runs

#if GPURES_DEVICE_COMPILE
inline constexpr u32 kBlockThreads = 256;  // that run kernels, in the ring and in a plain launch

// All of them; what they wrote before is seen by all of them after.
GPURES_HD void sync_block() {
#if GPURES_POLLER_WARP  // a warp more, which must not be waited for
  asm volatile("barrier.sync 1, 256;" ::: "memory");
#else
  __syncthreads();
#endif
}

class DeviceBlock {
 public:
  GPURES_HD DeviceBlock(u32 thread, u32 threads, u8* scratch)
      : thread_(thread), threads_(threads), scratch_(scratch) {}

  GPURES_HD u32 thread() const { return thread_; }
  GPURES_HD u32 threads() const { return threads_; }
  GPURES_HD u8* scratch() const { return scratch_; }
  // All threads of the block; what they wrote before is seen by all of them after.
  GPURES_HD void sync() const { sync_block(); }
  template <class Word>
  GPURES_HD void add(Word* word, Word value) const {
    atomicAdd(word, value);
  }
  // To `value`, if it is less.
  GPURES_HD void raise(i64* word, i64 value) const { atomicMax(word, value); }

 private:
  u32 thread_, threads_;
  u8* scratch_;
};
#endif

}  // namespace gpures
