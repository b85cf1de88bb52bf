// The serve loop: the whole ring kernel, and the whole host worker.
//
//   take a batch → for each message: check, run its operation, put its completion → publish
//   → store the head → look at the words that say leave
//
// Env is the worker's surroundings: Words (atomics), leader()/thread()/threads()/sync() (the
// block; one thread with a no-op sync on the host), now() in ticks, frame() and batch() (shared
// memory of the block), call() (run a kernel slice, return a signal number or 0), beat(),
// idle() (what a poller does while nothing comes), kFirstIndices (Compute::first_slice). On a
// device also kLanes threads that poll together, run_of() (how many of them in a row say yes, from
// the first), attends(), and compute() and run_program() as functions apart: what they keep in
// registers across a call to a kernel takes none from the serve loop. With kPollsApart the poller
// is none of the block (fetch.hpp).
#pragma once

#include "cancel.hpp"
#include "fetch.hpp"
#include "leave.hpp"
#include "ops/allocate.hpp"
#include "ops/compute.hpp"
#include "ops/program.hpp"
#include "ops/release.hpp"
#include "ops/transfer.hpp"
#include "take.hpp"

namespace gpures {

struct Batch {  // what the poller hands to its block; in shared memory on a device
  u32 count;
  u32 leave;
  u32 alone;  // how many messages the leader has just run by itself
  // The leader's own, here because every register that lives across a call to a kernel is saved.
  u64 started;
  u64 head;  // the block's: the next position, moved between rounds
  u64 quiet_since;
  u64 published;  // messages before it have been
  u64 oldest;     // when the first unpublished one was taken
  u64 taken;
  u64 looked;                 // at the word that says leave
  u64 collected, seen_empty;  // where a poller apart fetches: batches, its looks in vain
  Slot messages[kBatch];
};

template <class Env>
GPURES_HD Answer execute(Env& env, const EngineView& engine, RingView& ring, const Slot& message,
                         u8* page, const Turn& turn) {
  switch (Opcode(message.opcode)) {
    case Opcode::kNoop:
    case Opcode::kBarrier:  // FIFO does the rest
      return {};
    case Allocate::kOpcode:
      return Allocate::run(env, engine, ring, message, page);
    case Release::kOpcode:
      return Release::run(env, engine, ring, message, page);
    case Write::kOpcode:
      return Write::run(env, engine, ring, message, page);
    case Read::kOpcode:
      return Read::run(env, engine, ring, message, page);
    case Compute::kOpcode:
      if constexpr (kTogether<Env>) {
        return env.compute(engine, ring, message, page);
      } else {
        return Compute::run(env, engine, ring, message, page);
      }
    case RunProgram::kOpcode:
      if constexpr (kTogether<Env>) {
        return env.run_program(engine, ring, message, page, turn);
      } else {
        return RunProgram::run(env, engine, ring, message, page, turn);
      }
  }
  return {Status::kBadMessage};
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

// Noop, Barrier, Release and an Allocate without zeroing touch tables only.
GPURES_HD bool is_table_only(const Slot& message) {
  switch (Opcode(message.opcode)) {
    case Opcode::kNoop:
    case Opcode::kBarrier:
    case Opcode::kRelease:
      return true;
    case Opcode::kAllocate:
      return payload_of<AllocateMessage>(message).zero == 0;
    default:
      return false;
  }
}

// The leader as a block of its own, while the other threads wait for it.
struct Alone {
  GPURES_HD bool leader() const { return true; }
  GPURES_HD u32 thread() const { return 0; }
  GPURES_HD u32 threads() const { return 1; }
  GPURES_HD void sync() const {}
  GPURES_HD void beat(RingView&) const {}
};

GPURES_HD Answer execute_alone(const EngineView& engine, RingView& ring, const Slot& message) {
  Alone env;
  switch (Opcode(message.opcode)) {
    case Allocate::kOpcode:
      return Allocate::run(env, engine, ring, message, nullptr);
    case Release::kOpcode:
      return Release::run(env, engine, ring, message, nullptr);
    default:
      return {};
  }
}

// Leader: the answer of the message at `position`, which began at batch.taken.
template <class Env>
GPURES_HD void complete(Env& env, RingView& ring, Batch& batch, const Slot& message, u64 position,
                        const Answer& answer) {
  const u64 done = env.now();
  const u64 service = done - batch.taken;
  CompletionEntry entry{};
  entry.status = u16(answer.status);
  entry.detail = answer.detail;
  entry.service = service < 0xffffffffu ? u32(service) : 0xffffffffu;
  entry.value = answer.value;
  entry.taken = batch.taken;
  if ((message.flags & kBatchMember) && answer.status != Status::kOk) {
    ring.state->failed_batch[lane_of(message)] = message.request;
  }
  put_completion<typename Env::Words>(ring.completions[position & (ring.slot_count - 1)], entry);
  batch.taken = done;
}

// Of the batch in hand.
template <class Env>
GPURES_HD const Slot& message_at(Env& env, const Batch& batch, u32 index) {
  if constexpr (kPollsApart<Env>) {
    return env.fetched().messages[(batch.collected - 1) & 1][index];
  } else {
    return batch.messages[index];
  }
}

// Leader: the messages from `served` on that need no block, one after the other; their block would
// wait for itself three times for each.
template <class Env>
GPURES_HD u32 serve_alone(Env& env, const EngineView& engine, RingView& ring, Batch& batch,
                          u64 head, u32 served) {
  u32 count = 0;
  for (; served + count < batch.count; ++count) {
    const Slot& message = message_at(env, batch, served + count);
    if (!is_table_only(message)) break;
    const u64 position = head + served + count;
    Env::Words::store_relaxed_sys(ring.control->current.value, position + 1);
    const Answer answer = is_cancelled(*ring.state, message, position)
                              ? Answer{Status::kCancelled}
                              : execute_alone(engine, ring, message);
    complete(env, ring, batch, message, position, answer);
  }
  return count;
}

// What other blocks have written, asked for before the slots, so that it comes while they are
// looked at; and whoever must leave has looked at them since it was told.
struct Glimpse {
  u64 leave, cancels;
};
template <class Words>
GPURES_HD Glimpse glimpse(const EngineView& engine) {
  return {Words::load_relaxed_gpu(engine.shared->leave.value),
          Words::load_relaxed_gpu(engine.shared->cancels.value)};
}

// Leader: what the poller found, and whether this launch is over for the block. `seen` is a
// block's.
template <class Env>
GPURES_HD void begin_round(Env& env, const EngineView& engine, RingView& ring, Batch& batch,
                           u64 epoch, u64 head, u32 count, const Glimpse& seen) {
  using Words = typename Env::Words;
  batch.count = count;
  const bool mirrors = ring.index == 0 && attends(env, count);
  if (mirrors) mirror_host_words<Words>(engine, epoch);
  if (count == 0) env.idle(engine, ring, epoch, head, batch.started, batch.quiet_since);
  if constexpr (kTogether<Env>) {
    if (mirrors || seen.cancels != ring.state->cancels_seen) refresh_cancels<Words>(engine, ring);
    batch.leave = seen.leave >= epoch;
  } else {
    refresh_cancels<Words>(engine, ring);
    batch.leave = must_leave<Words>(engine, epoch);
  }
  batch.published = head;
  batch.oldest = batch.taken = env.now();
}

// The same where the poller is apart. No launch goes by without one look: see serve().
template <class Env>
GPURES_HD void begin_round_apart(Env& env, const EngineView& engine, RingView& ring, Batch& batch,
                                 u64 epoch, u64 head) {
  using Words = typename Env::Words;
  bool looked;
  batch.count = collect<Words>(env.fetched(), batch.collected, batch.seen_empty, looked);
  if (batch.count == 0) {
    if (looked) {
      env.idle(engine, ring, epoch, head, batch.started, batch.quiet_since);
    } else {
      env.relax();
    }
  }
  refresh_cancels<Words>(engine, ring);
  batch.leave = looked && must_leave<Words>(engine, epoch);
  batch.published = head;
  batch.oldest = batch.taken = env.now();
}

template <class Env>
GPURES_HD void serve(Env& env, const EngineView& engine, RingView& ring, u64 epoch) {
  using Words = typename Env::Words;
  Batch& batch = env.batch();
  if (env.leader()) {
    batch.head = Words::get(ring.state->head);
    batch.started = batch.quiet_since = batch.looked = env.now();
    if constexpr (kPollsApart<Env>) batch.collected = batch.seen_empty = 0;
    if (ring.index == 0) Words::store_release_sys(engine.control->started_epoch.value, epoch);
  }
  env.sync();
  [[maybe_unused]] bool round_found = false;
  for (;;) {
    if constexpr (kPollsApart<Env>) {
      if (env.leader()) begin_round_apart(env, engine, ring, batch, epoch, batch.head);
    } else if (polls(env)) {
      Glimpse seen{};
      if constexpr (kTogether<Env>) {
        if (env.leader()) seen = glimpse<Words>(engine);
      }
      bool all = false;
      if constexpr (kLooksAhead<Env>) all = round_found;
      const u32 count = take(env, ring, batch.head, batch.messages, all);
      if constexpr (kLooksAhead<Env>) round_found = count != 0;
      if (env.leader()) begin_round(env, engine, ring, batch, epoch, batch.head, count, seen);
    }
    env.sync();
    // Messages in hand are served even when `leave` is up, at least one a launch: a worker that
    // was only preempted moves on, and no launch goes by without progress.
    u32 served = 0;
    while (served < batch.count) {
      if constexpr (kTogether<Env>) {
        if (env.leader()) batch.alone = serve_alone(env, engine, ring, batch, batch.head, served);
        env.sync();
        served += batch.alone;
        if (served == batch.count) break;
      }
      const Slot& message = message_at(env, batch, served);
      const u64 position = batch.head + served;
      u8* page = ring.pages + (position & (ring.slot_count - 1)) * kPageBytes;
      if (env.leader()) {
        Words::store_relaxed_sys(ring.control->current.value, position + 1);
        if (batch.published != position &&
            (batch.taken - batch.oldest > engine.publish_ticks || runs_long(engine, message))) {
          publish<Words>(ring, batch.published, position);
          batch.published = position;
          batch.oldest = batch.taken;
        }
      }
      const Answer answer = is_cancelled(*ring.state, message, position)
                                ? Answer{Status::kCancelled}
                                : execute(env, engine, ring, message, page,
                                          Turn{position, epoch, batch.started, batch.taken});
      env.sync();
      if (answer.status == Status::kUnfinished) {  // its message stays: the next launch goes on
        if (env.leader()) batch.leave = true;
        env.sync();
        break;
      }
      if (env.leader()) {
        complete(env, ring, batch, message, position, answer);
        if (batch.taken - batch.started > engine.lease_ticks) tell_leave<Words>(engine, epoch);
        const bool long_one = runs_long(engine, message);
        if (long_one) {  // the rest of the batch may have been cancelled meanwhile
          if (!kPollsApart<Env> && ring.index == 0) mirror_host_words<Words>(engine, epoch);
          refresh_cancels<Words>(engine, ring);
        }
        // A look at another block's word is 300 ns on a device: short messages share one.
        if (!kTogether<Env> || long_one || batch.taken - batch.looked > engine.publish_ticks) {
          batch.looked = batch.taken;
          if (must_leave<Words>(engine, epoch)) {
            batch.leave = true;
            batch.count = served + 1;
          }
        }
      }
      ++served;
      env.sync();
    }
    if (served != 0) {
      if (env.leader()) {
        batch.head += served;
        batch.quiet_since = batch.taken;
        publish<Words>(ring, batch.published, batch.head);
        Words::put(ring.state->head, batch.head);
        Words::store_relaxed_gpu(ring.state->active, batch.taken);
        if constexpr (kPollsApart<Env>) {  // every thread is done with its messages
          Words::store_release_block(env.fetched().done, batch.collected);
        }
      }
    }
    const bool leave = batch.leave;
    env.sync();
    if (leave) break;
  }
}

}  // namespace gpures
