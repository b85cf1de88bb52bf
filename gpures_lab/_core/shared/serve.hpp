// The serve loop: the whole ring kernel, and the whole host worker.
//
//   take a batch → for each message: check, run its operation, put its completion → publish
//   → store the head → look at the words that say leave
//
// Env is the worker's surroundings: Words (atomics), leader()/thread()/threads()/sync() (the
// block; one thread with a no-op sync on the host), now() in ticks, frame() and batch() (shared
// memory of the block), call() (run a kernel slice, return a signal number or 0), beat(),
// idle() (what a poller does while nothing comes).
#pragma once

#include "cancel.hpp"
#include "leave.hpp"
#include "ops/allocate.hpp"
#include "ops/compute.hpp"
#include "ops/program.hpp"
#include "ops/release.hpp"
#include "ops/transfer.hpp"
#include "ring.hpp"

namespace gpures {

struct Batch {  // what the poller hands to its block
  u32 count;
  u32 leave;
  Slot messages[kBatch];
};

template <class Env>
GPURES_HD Answer execute(Env& env, const EngineView& engine, RingView& ring, const Slot& message,
                         u8* page, const Turn& turn) {
  switch (Opcode(message.opcode)) {
    case Opcode::kNoop:
    case Opcode::kBarrier:  // FIFO does the rest
      return {};
    case Allocate::kOpcode: return Allocate::run(env, engine, ring, message, page);
    case Release::kOpcode: return Release::run(env, engine, ring, message, page);
    case Write::kOpcode: return Write::run(env, engine, ring, message, page);
    case Read::kOpcode: return Read::run(env, engine, ring, message, page);
    case Compute::kOpcode: return Compute::run(env, engine, ring, message, page);
    case RunProgram::kOpcode: return RunProgram::run(env, engine, ring, message, page, turn);
  }
  return {Status::kBadMessage};
}

// Poller: one slot while idle, up to kBatch after a hit (always kBatch would cost the user's PCIe
// link ~13 GB/s of polling).
template <class Env>
GPURES_HD u32 take(const RingView& ring, u64 head, Slot* messages) {
  using Words = typename Env::Words;
  u32 count = 0;
  while (count < kBatch) {
    const Slot& slot = ring.slots[(head + count) & (ring.slot_count - 1)];
    if (!is_ready<Words>(slot, head + count)) break;
    copy_message<Words>(messages[count], slot);
    ++count;
  }
  return count;
}

// Completions of expensive or slow messages must not keep earlier ones waiting.
GPURES_HD bool runs_long(const EngineView& engine, const Slot& message) {
  if (message.opcode == u16(Opcode::kRunProgram)) return true;
  if (message.opcode != u16(Opcode::kCompute)) return false;
  const auto& compute = payload_of<ComputeMessage>(message);
  if (compute.n > 16384 || compute.indices != 1) return true;
  if (compute.kernel >= engine.kernel_capacity) return false;
  const KernelEntry* kernel = engine.kernels[compute.kernel];
  return kernel != nullptr && (kernel->flags & kKernelUser);
}

template <class Env>
GPURES_HD void serve(Env& env, const EngineView& engine, RingView& ring, u64 epoch) {
  using Words = typename Env::Words;
  Batch& batch = env.batch();
  u64 head = Words::get(ring.state->head);
  const u64 started = env.now();
  u64 quiet_since = started;
  if (env.leader() && ring.index == 0) {
    Words::store_release_sys(engine.control->started_epoch.value, epoch);
  }
  for (;;) {
    if (env.leader()) {
      batch.count = take<Env>(ring, head, batch.messages);
      if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
      if (batch.count == 0) env.idle(engine, ring, epoch, head, started, quiet_since);
      refresh_cancels<Words>(engine, ring);
      batch.leave = must_leave<Words>(engine, epoch);
    }
    env.sync();
    // Messages in hand are served even when `leave` is up, at least one a launch: a worker that
    // was only preempted moves on, and no launch goes by without progress.
    u64 published = head;
    u64 taken = env.now();
    u64 oldest = taken;
    u32 served = 0;
    while (served < batch.count) {
      const u32 m = served;
      const Slot& message = batch.messages[m];
      const u64 position = head + m;
      u8* page = ring.pages + (position & (ring.slot_count - 1)) * kPageBytes;
      const bool long_one = runs_long(engine, message);
      if (env.leader()) {
        Words::store_relaxed_sys(ring.control->current.value, position + 1);
        if (published != position &&
            (taken - oldest > engine.publish_ticks || long_one)) {
          publish<Words>(ring, published, position);
          published = position;
          oldest = taken;
        }
      }
      const Answer answer = is_cancelled(*ring.state, message, position)
                                ? Answer{Status::kCancelled}
                                : execute(env, engine, ring, message, page,
                                          Turn{position, epoch, started, taken});
      env.sync();
      if (answer.status == Status::kUnfinished) {  // its message stays: the next launch goes on
        if (env.leader()) batch.leave = true;
        env.sync();
        break;
      }
      const u64 done = env.now();
      if (env.leader()) {
        const u64 service = done - taken;
        CompletionEntry entry{};
        entry.status = u16(answer.status);
        entry.detail = answer.detail;
        entry.service = service < 0xffffffffu ? u32(service) : 0xffffffffu;
        entry.value = answer.value;
        entry.taken = taken;
        if ((message.flags & kBatchMember) && answer.status != Status::kOk) {
          ring.state->failed_batch[lane_of(message)] = message.request;
        }
        put_completion<Words>(ring.completions[position & (ring.slot_count - 1)], entry);
        if (done - started > engine.lease_ticks) tell_leave<Words>(engine, epoch);
        if (long_one) {  // the rest of the batch may have been cancelled meanwhile
          if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
          refresh_cancels<Words>(engine, ring);
        }
        if (must_leave<Words>(engine, epoch)) {
          batch.leave = true;
          batch.count = m + 1;
        }
      }
      taken = done;
      ++served;
      env.sync();
    }
    if (served != 0) {
      head += served;
      quiet_since = taken;
      if (env.leader()) {
        publish<Words>(ring, published, head);
        Words::put(ring.state->head, head);
        Words::store_release_gpu(ring.state->active, taken);
      }
    }
    const bool leave = batch.leave;
    env.sync();
    if (leave) break;
  }
}

}  // namespace gpures
