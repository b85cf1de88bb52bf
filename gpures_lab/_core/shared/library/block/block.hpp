// A library kernel run by a whole block: OnBlock<Kernel>::run, called by each of its threads.
// The results are Kernel::run's, bit for bit wherever that has one order. `kAnyBlocks`: no thread
// waits for another, so the threads of many blocks may share the work.
#pragma once

#include "../../device/block.hpp"
#include "../call.hpp"

namespace gpures::library {

template <class Kernel>
struct OnBlock;

// One value of each thread, combined in an order that the thread count fixes; every thread gets the
// result. For operations whose result does not depend on order. Takes threads * sizeof(T) of the
// scratch area.
template <class T, class Block, class Combine>
GPURES_OP T reduce(const Block& block, const T& value, const Combine& combine) {
  T* const values = reinterpret_cast<T*>(block.scratch());
  const u32 thread = block.thread();
  values[thread] = value;
  block.sync();
  for (u32 width = block.threads(); width > 1;) {
    const u32 half = (width + 1) / 2;
    if (thread < width / 2) values[thread] = combine(values[thread], values[thread + half]);
    block.sync();
    width = half;
  }
  const T result = values[0];
  block.sync();  // the scratch area is free again
  return result;
}

// Runs on every index of [begin, end), neighbours on neighbouring threads.
template <class Block, class Index>
GPURES_OP void for_each_strided(const Block& block, const Index& index, i64 begin, i64 end) {
  for (i64 i = begin + block.thread(); i < end; i += block.threads()) index(i);
}

}  // namespace gpures::library
