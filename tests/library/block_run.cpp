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
constexpr u64 kBlocks[] = {3, 1, 8};

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
  const Pass* pass;
};

Run run;

void yield() { explore::explore_switch(&run.fibers[run.current].sp, run.scheduler); }

void enter() {
  const u32 threads = static_cast<u32>(run.fibers.size());
  run.body(FiberBlock(run.current, threads, run.scratch), *run.call, *run.pass);
  run.fibers[run.current].done = true;
  yield();
  std::abort();
}

u64 calls = 0;

void run_as(u64 number, BlockBody body, const Call& call, const Pass& pass) {
  const u32 threads = kSizes[number % 3];
  run.body = body;
  run.call = &call;
  run.pass = &pass;
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

}  // namespace

bool in_passes = false;

void FiberBlock::sync() const { yield(); }

void run_on_block(BlockBody body, const Call& call) { run_as(calls++, body, call, {}); }

void run_pass(BlockBody body, const Call& call, const Pass& pass) {
  run_as(static_cast<u64>(pass.number), body, call, pass);
}

void run_in_passes(BlockBody body, const Call& call, const WidePlan& plan) {
  constexpr u64 kGuard = 256;
  if (plan.passes == 0 || plan.passes > 64 || plan.blocks == 0) std::abort();
  std::vector<u8> memory(plan.scratch_bytes + kGuard, 0xa5);
  std::minstd_rand shuffle(static_cast<u32>(calls + 1));
  for (u32 pass = 0; pass < plan.passes; ++pass) {
    const u64 number = calls++;
    const u64 wanted = plan.lone >> pass & 1 ? 1 : kBlocks[number / 2 % 3];
    std::vector<i64> order(std::min(wanted, plan.blocks));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), shuffle);
    for (const i64 block : order) {
      run_as(number, body, call, {block, static_cast<i64>(order.size()), pass, memory.data()});
    }
  }
  for (u64 n = 0; n < kGuard; ++n) {
    if (memory[plan.scratch_bytes + n] != 0xa5) std::abort();  // past what it asked for
  }
}

}  // namespace gpures::library

extern "C" __attribute__((visibility("default"))) void library_in_passes(int on) {
  gpures::library::in_passes = on != 0;
}
