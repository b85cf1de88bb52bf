// Included before everything else, so that the table's rows run on a block of host threads: the
// device's versions of the kernels, under the tests of the host's.
#pragma once

#include "host/library/catalogue.hpp"
#include "shared/library/block/all.hpp"

namespace gpures::library {

// Its threads are fibers: one runs until it waits for the others, so that what a missing sync()
// would let it see depends on the order, which changes from call to call.
class FiberBlock {
 public:
  FiberBlock(u32 thread, u32 threads, u8* scratch)
      : thread_(thread), threads_(threads), scratch_(scratch) {}
  u32 thread() const { return thread_; }
  u32 threads() const { return threads_; }
  u8* scratch() const { return scratch_; }
  void sync() const;
  template <class Word>
  void add(Word* word, Word value) const {
    *word += value;
  }

 private:
  u32 thread_, threads_;
  u8* scratch_;
};

using BlockBody = void (*)(const FiberBlock&, const Call&);
void run_on_block(BlockBody body, const Call& call);

template <class Kernel>
void enter_block(void* const* data, const i64* sizes, const i64* shapes, const u64* params,
                 const i64* space, i64 begin, i64 end, i64* fault) {
  run_on_block([](const FiberBlock& block, const Call& call) { OnBlock<Kernel>::run(block, call); },
               Call{data, sizes, shapes, params, space, begin, end, fault});
}

// Constrained, so that it is preferred to table.hpp's.
template <class Kernel>
  requires(sizeof(Kernel) > 0)
gpures_kernel entry_point(Isa) {
  return enter_block<Kernel>;
}

}  // namespace gpures::library
