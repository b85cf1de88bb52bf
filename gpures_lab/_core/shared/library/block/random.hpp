// Random numbers on a block: a thread makes whole Philox blocks.
#pragma once

#include "../random.hpp"
#include "block.hpp"

namespace gpures::library {

template <class Law, class T, int Z>
struct OnBlock<Random<Law, T, Z>> {
  static constexpr bool kAnyBlocks = true;
  static constexpr i64 kLanes = RandomBlock<T>::kLanes;

  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    T* const z = array<T>(call, Z);
    const u64 seed = call.params[0];
    // How far into a Philox block the stream begins; an offset may wrap, its place does not.
    const u64 offset = call.params[1];
    const i64 skipped = static_cast<i64>((offset + static_cast<u64>(call.begin)) % kLanes);
    for (i64 i = call.begin - skipped + block.thread() * kLanes; i < call.end;
         i += block.threads() * kLanes) {
      const RandomBlock<T> numbers =
          Law::template block<T>((offset + static_cast<u64>(i)) / kLanes, seed);
      for (i64 lane = 0; lane < kLanes; ++lane) {
        if (i + lane >= call.begin && i + lane < call.end) z[i + lane] = numbers.number[lane];
      }
    }
  }
};

}  // namespace gpures::library
