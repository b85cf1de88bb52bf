// Runs a block of fibers: 1, 40 or 256 of them, in ascending, descending or mixed order.
#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "block_entry.hpp"
#include "explorer/fiber.hpp"

EXPLORE_SWITCH;

namespace gpures::library {
namespace {

constexpr u32 kSizes[] = {40, 256, 1};

struct Fiber {
  void* sp;
  bool done;
};

struct Run {
  std::vector<Fiber> fibers;
  std::vector<unsigned char> stacks;
  std::vector<u32> order;
  alignas(16) u8 scratch[kScratchBytes];
  void* scheduler;
  u32 current;
  BlockBody body;
  const Call* call;
};

Run run;

void yield() { explore::explore_switch(&run.fibers[run.current].sp, run.scheduler); }

void enter() {
  const u32 threads = static_cast<u32>(run.fibers.size());
  run.body(FiberBlock(run.current, threads, run.scratch), *run.call);
  run.fibers[run.current].done = true;
  yield();
  std::abort();
}

}  // namespace

void FiberBlock::sync() const { yield(); }

void run_on_block(BlockBody body, const Call& call) {
  static u64 calls = 0;
  const u64 number = calls++;
  const u32 threads = kSizes[number % 3];
  run.body = body;
  run.call = &call;
  run.fibers.assign(threads, {});
  run.stacks.resize(threads * explore::kStackBytes + 64);
  run.order.resize(threads);
  std::iota(run.order.begin(), run.order.end(), 0);
  for (u8& byte : run.scratch) byte = 0xa5;  // a kernel must not count on zeros
  std::minstd_rand shuffle(static_cast<u32>(number + 1));
  auto* base = reinterpret_cast<unsigned char*>(
      (reinterpret_cast<std::uintptr_t>(run.stacks.data()) + 63) & ~std::uintptr_t{63});
  for (u32 t = 0; t < threads; ++t) {
    run.fibers[t].sp = explore::prepare_stack(base + t * explore::kStackBytes, enter);
  }
  // Every round ends at a barrier, which all threads reach or none.
  for (bool more = true; more;) {
    switch (number / 3 % 3) {
      case 0:
        std::reverse(run.order.begin(), run.order.end());
        break;
      case 1:
        std::shuffle(run.order.begin(), run.order.end(), shuffle);
        break;
      default:
        break;
    }
    u32 done = 0;
    for (const u32 t : run.order) {
      run.current = t;
      explore::explore_switch(&run.scheduler, run.fibers[t].sp);
      done += run.fibers[t].done;
    }
    if (done != 0 && done != threads) std::abort();
    more = done == 0;
  }
}

}  // namespace gpures::library
