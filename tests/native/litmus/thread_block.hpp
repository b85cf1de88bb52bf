// A block of real threads for the library's device code: under ThreadSanitizer a barrier that is
// missing shows, whatever the threads' speed.
#pragma once

#include <atomic>

#include "fake_cuda/block.hpp"

namespace litmus {

class ThreadBlock {
 public:
  ThreadBlock(gpures::u32 thread, gpures::u32 threads, gpures::u8* scratch,
              fake::BlockBarrier& barrier)
      : thread_(thread), threads_(threads), scratch_(scratch), barrier_(barrier) {}

  gpures::u32 thread() const { return thread_; }
  gpures::u32 threads() const { return threads_; }
  gpures::u8* scratch() const { return scratch_; }
  void sync() const { barrier_.wait(); }
  template <class Word>
  void add(Word* word, Word value) const {
    std::atomic_ref(*word).fetch_add(value, std::memory_order_relaxed);
  }
  void raise(gpures::i64* word, gpures::i64 value) const {
    std::atomic_ref at(*word);
    gpures::i64 seen = at.load(std::memory_order_relaxed);
    while (seen < value && !at.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
  }

 private:
  gpures::u32 thread_, threads_;
  gpures::u8* scratch_;
  fake::BlockBarrier& barrier_;
};

}  // namespace litmus
