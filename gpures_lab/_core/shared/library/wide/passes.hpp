// A library kernel in several launches: InPasses<Kernel>. `plan` says how many and `run` is called
// by each thread of each block of each of them. The work is cut into parts by the size of the call
// alone, and blocks take parts in turn: results do not depend on how many blocks there are, and are
// the ones of one block (OnBlock), bit for bit.
#pragma once

#include "../../wide_plan.hpp"
#include "../block/block.hpp"

namespace gpures::library {

template <class Kernel>
struct InPasses;  // of kernels that have the form

template <class Kernel>
inline constexpr bool kInPasses = requires(const Call& call) { InPasses<Kernel>::plan(call); };

inline constexpr i64 kMostParts = 4096;  // whose results one block can put together in a few us
inline constexpr i64 kPartTerms = 4096;  // a part is worth a block

GPURES_OP i64 divided_up(i64 n, i64 by) { return (n + by - 1) / by; }

// [0, n) in equal parts, the last one shorter.
struct Parts {
  i64 n, each, count;

  static GPURES_OP Parts of(i64 n, i64 most = kMostParts) {
    i64 each = divided_up(n, most);
    if (each < kPartTerms) each = kPartTerms;
    return {n, each, n > 0 ? divided_up(n, each) : 0};
  }
  GPURES_OP i64 begin(i64 part) const { return part * each; }
  GPURES_OP i64 end(i64 part) const { return part + 1 < count ? (part + 1) * each : n; }
};

// Calls `visit(part)` with the parts that are this block's.
template <class Visit>
GPURES_OP void for_each_part(const Pass& pass, i64 count, const Visit& visit) {
  for (i64 part = pass.block; part < count; part += pass.blocks) visit(part);
}

// Calls `index(i)` on one thread of the launch for each i of [begin, end).
template <class Block, class Index>
GPURES_OP void for_each_wide(const Block& block, const Pass& pass, const Index& index, i64 begin,
                             i64 end) {
  const i64 threads = block.threads();
  for (i64 i = begin + pass.block * threads + block.thread(); i < end; i += pass.blocks * threads) {
    index(i);
  }
}

// Blocks with a term for each of their threads.
GPURES_OP u64 blocks_for(i64 n) { return static_cast<u64>(n > 0 ? divided_up(n, 256) : 1); }

template <class T>
GPURES_OP T* memory_of(const Pass& pass) {
  return reinterpret_cast<T*>(pass.memory);
}

}  // namespace gpures::library
