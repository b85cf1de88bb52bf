// How a kernel runs as several plain launches in a row, each over the whole device: what the host
// has to know of it, and what a launch knows of itself. A launch sees all that those before it in
// the stream have written; within one, blocks do not wait for each other.
#pragma once

#include "base.hpp"

namespace gpures {

struct WidePlan {
  u32 passes = 0;         // launches; at most 64
  u64 lone = 0;           // bit p: pass p is one block's work
  u64 blocks = 1;         // more have nothing to do in any pass
  u64 scratch_bytes = 0;  // device memory that the passes hand things on in
};

// By a call's sizes, shapes and space (kernel_abi.hpp); null: the kernel has no such form.
using WidePlanner = WidePlan (*)(const i64* sizes, const i64* shapes, const i64* space);

struct Pass {
  i64 block, blocks;  // of this launch
  i64 number;
  u8* memory;  // scratch_bytes of it, 256-byte aligned; nothing in it before pass 0
};

}  // namespace gpures
