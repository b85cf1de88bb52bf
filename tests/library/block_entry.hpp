// Included before everything else, so that the table's rows run on a block of host threads: the
// device's versions of the kernels, under the tests of the host's.
#pragma once

#include "host/library/catalogue.hpp"
#include "shared/library/block/all.hpp"
#include "shared/library/wide/all.hpp"

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
  void raise(i64* word, i64 value) const {
    if (*word < value) *word = value;
  }

 private:
  u32 thread_, threads_;
  u8* scratch_;
};

using BlockBody = void (*)(const FiberBlock&, const Call&, const Pass&);
void run_on_block(BlockBody body, const Call& call);
// One block of one pass: all blocks of a launch have as many threads.
void run_pass(BlockBody body, const Call& call, const Pass& pass);
// Every pass of the plan on 1, 3 or 8 blocks, one after the other in mixed order: what one block
// would have to wait for in another shows.
void run_in_passes(BlockBody body, const Call& call, const WidePlan& plan);
// Whether kernels that have the form run so.
extern bool in_passes;

template <class Kernel>
void enter_block(void* const* data, const i64* sizes, const i64* shapes, const u64* params,
                 const i64* space, i64 begin, i64 end, i64* fault) {
  Call call{data, sizes, shapes, params, space, begin, end, fault};
  if constexpr (kInPasses<Kernel>) {
    if (in_passes) {
      if (begin != 0) return;  // the first slice did it all: a plain launch has none
      call.end = space[0];
      return run_in_passes([](const FiberBlock& block, const Call& whole,
                              const Pass& pass) { InPasses<Kernel>::run(block, pass, whole); },
                           call, InPasses<Kernel>::plan(call));
    }
  }
  run_on_block([](const FiberBlock& block, const Call& slice,
                  const Pass&) { OnBlock<Kernel>::run(block, slice); },
               call);
}

// Constrained, so that it is preferred to table.hpp's.
template <class Kernel>
  requires(sizeof(Kernel) > 0)
gpures_kernel entry_point(Isa) {
  return enter_block<Kernel>;
}

}  // namespace gpures::library
