// The worker's side: the shipped serve loop in a one-thread block, and a worker thread around it
// (HostDriver::work, or the ring kernel when setup.device).
#pragma once

#include "explorer/words.hpp"
#include "shared/bytes.hpp"

namespace explore {

struct Env;

}  // namespace explore

namespace gpures {

// Pages and allocations word by word, so that late and torn data shows.
template <>
inline void copy_bytes<explore::Env>(explore::Env&, u8* to, const u8* from, u64 bytes) {
  for (u64 w = 0; w < bytes / 8; ++w) {
    explore::Words::put(reinterpret_cast<u64*>(to)[w],
                        explore::Words::get(reinterpret_cast<const u64*>(from)[w]));
  }
}

}  // namespace gpures

#include "shared/serve.hpp"
#include "shared/wake.hpp"

namespace explore {

struct BlockMemory {  // what a block keeps in shared memory; only the first messages are ever used
  Batch batch;
};
inline BlockMemory blocks_memory[kRings + 1];
inline CallFrame call_frames[kRings + 1];

void wake_sleeper(u32 ring);  // host.hpp
void kick(u32 ring, WakeState found);
void last_out();

struct Env {
  using Words = explore::Words;
  static constexpr i64 kFirstIndices = kSliceIndices;
  u32 worker;
  u32 thread_index = 0;

  bool leader() const { return thread_index == 0; }
  u32 thread() const { return thread_index; }
  u32 threads() const { return setup.block_threads; }
  // A barrier after which any thread may be late. One that not all threads reach ends in a wait
  // that the search reports.
  void sync() const {
    if (setup.block_threads == 1) return;
    Host& host = world.host;
    const u64 before = host.barrier;
    if (++host.at_barrier == setup.block_threads) {
      host.at_barrier = 0;
      host.barrier ^= 1;
    }
    machine.block_until([&host, before] { return host.barrier != before; });
  }
  u32 ring() const { return worker % kRings; }
  u64 now() const { return 1 + world.host.clock + world.host.executed[ring()]; }
  Batch& batch() { return blocks_memory[worker].batch; }
  CallFrame& frame() { return call_frames[worker]; }
  void beat(RingView&) {}
  // A slice takes a while; the next one must not begin when `stop` was up before this one ended.
  int call(const KernelEntry&, const Arguments& frame, i64 begin, i64) const {
    if (setup.block_threads != 1) return fault_in_one_thread(frame);
    if (setup.repeats != 0) return program_step(frame);
    u64& was_up = world.host.stop_was_up[ring()];
    if (begin > 0 && was_up != 0) machine.fail("another slice although stop was up");
    machine.block_until([] { return true; });
    was_up = world.control.stop.value;
    machine.log("ends the slice at %lld%s", begin, was_up != 0 ? ", stop is up" : "");
    return 0;
  }

  // Each step of each iteration once and in order, over any number of launches. [R12]
  int program_step(const Arguments& frame) const {
    machine.block_until([] { return true; });
    const u64 position = world.host.executed[ring()] - 1;
    const u64 step = world.host.steps[position]++;
    if (u64(frame.space[0]) != 1 + step % 2 || step >= 2 * setup.repeats) {
      machine.fail("position %llu runs step %lld of its program after %llu steps", position,
                   frame.space[0] - 1, step);
    }
    machine.log("runs program step %llu", step);
    return 0;
  }

  // Only the last thread's index is out of bounds: the block's answer must say so all the same.
  int fault_in_one_thread(const Arguments& frame) const {
    machine.block_until([] { return true; });
    if (thread_index == setup.block_threads - 1) frame.fault[0] = 1;
    return 0;
  }

  void look(const EngineView& engine, RingView& ring, u64 epoch, u64 started, u64) {
    if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
    if (now() - started > engine.lease_ticks) tell_leave<Words>(engine, epoch);
  }

  void idle(const EngineView& engine, RingView& ring, u64 epoch, u64 head, u64 started,
            u64 quiet_since) {
    check_deadlines<Words>(engine, ring, epoch, now(), started, quiet_since);
    if (must_leave<Words>(engine, epoch)) return;
    if (setup.device) {
      machine.look_again();
      return;
    }
    sleep(engine, ring, epoch, head);
  }

  void sleep(const EngineView& engine, RingView& ring, u64 epoch, u64 head) {
    const u64 at = world.host.clock;
    if (broken(Break::kLookThenAnnounce)) {
      if (is_ready<Words>(ring.slots[head & (ring.slot_count - 1)], head)) return;
      Words::exchange(ring.control->wake.value, kAsleep);
    } else if (!announce_sleep<Words>(ring, head)) {
      return;
    }
    if (ring.index == 0 && !broken(Break::kNoMirrorAsleep)) {
      mirror_host_words<Words>(engine, epoch);
    }
    // A condition variable: the lock is given up and the sleep begins in one step. The time limit
    // of the wait is the next jump of the clock.
    u64& lock = world.host.sleep_lock[ring.index];
    u64& sleeping = world.host.sleeping[ring.index];
    machine.block_until([&lock] { return lock == 0; });
    lock = 1;
    while (Words::load_relaxed_sys(ring.control->wake.value) == kAsleep &&
           !must_leave<Words>(engine, epoch)) {
      sleeping = 1;
      lock = 0;
      machine.log("sleeps");
      machine.block_until([&lock, &sleeping, at] {
        return (sleeping == 0 || world.host.clock != at) && lock == 0;
      });
      sleeping = 0;
      lock = 1;
      if (world.host.clock != at) break;
    }
    lock = 0;
    Words::exchange(ring.control->wake.value, kAwake);
  }
};

// Of a block whose poller is apart.
struct ApartEnv : Env {
  static constexpr bool kPollsApart = true;
  Fetched& fetched() const { return explore::fetched[ring()]; }
  void relax() const {
    const Batch& batch = blocks_memory[worker].batch;
    machine.block_until([this, &batch] {
      return fetched().put != batch.collected || fetched().empty != batch.seen_empty;
    });
  }
};

// That poller.
struct PollerEnv {
  using Words = explore::Words;
  static constexpr bool kPollsApart = true;
  u32 ring;
  bool leader() const { return true; }
  void sync_lanes() const {}
  Fetched& fetched() const { return explore::fetched[ring]; }
  void relax() const { machine.look_again(); }
};

inline void poller_body(u32 ring) {
  for (;;) {
    machine.block_until([ring] { return world.host.fetching[ring] != 0; });
    PollerEnv env{ring};
    const EngineView engine = engine_view();
    fetch(env, engine, ring_view(ring), world.host.fetching[ring]);
    machine.begin_atomic();
    world.host.fetching[ring] = 0;
  }
}

inline void serve_apart(u32 worker, const EngineView& engine, RingView& view, u64 epoch) {
  ApartEnv env{worker};
  const u32 ring = env.ring();
  std::memset(static_cast<void*>(&fetched[ring]), 0, offsetof(Fetched, messages));
  world.host.fetching[ring] = epoch;
  serve(env, engine, view, epoch);
  if (!broken(Break::kLeaveNotTold)) Words::store_release_block(fetched[ring].over, 1);
  if (!broken(Break::kPollerStays)) {
    machine.block_until([ring] { return world.host.fetching[ring] == 0; });
  }
}

// Just before a message runs: it must be the next one, whole, and its page too.
inline ProgramHeader& program_header() { return *reinterpret_cast<ProgramHeader*>(world.program); }

inline void on_execute(u32 ring, u64 position) {
  Host& host = world.host;
  if (setup.repeats != 0 && host.executed[ring] == position + 1 &&
      host.stamp[ring][position] == 0) {
    machine.log("goes on with position %llu", position);  // its program left with a launch
    return;
  }
  if (host.executed[ring] != position) {
    machine.fail("ring %u runs position %llu, position %llu is next", ring, position,
                 host.executed[ring]);
    return;
  }
  const Batch& batch = blocks_memory[machine.state.threads[machine.running()].argument].batch;
  const Slot* const messages =
      setup.apart ? fetched[ring].messages[(batch.collected - 1) & 1] : batch.messages;
  bool whole = false;
  for (u32 m = 0; m < batch.count; ++m) {
    whole |= messages[m].request == request_of(ring, position) &&
             messages[m].payload[0] == host.first_word[ring][position] &&
             messages[m].payload[4] == stamp_of(ring, position);
  }
  if (!whole) machine.fail("ring %u position %llu runs with a torn message", ring, position);
  if (*page_word(ring, position) != stamp_of(ring, position)) {
    machine.fail("ring %u position %llu runs with a torn page", ring, position);
  }
  ++host.executed[ring];
  machine.log("runs position %llu", position);
}

// Its completion is being put.
inline void on_answer(u32 ring, u64 position, u64 taken, Status status) {
  Host& host = world.host;
  host.stamp[ring][position] = taken;
  bool may = false, must = false;
  for (u64 c = 0; c < host.cancels; ++c) {
    const bool covers = host.cancel_ring[c] == ring && position < host.cancel_last[c] &&
                        host.grain[ring][position] == host.cancel_grain[c];
    may |= covers;
    must |= covers && c < host.round_cancels;
  }
  if (status == Status::kCancelled && !may && setup.stopper == false) {
    machine.fail("ring %u position %llu of grain %llu is cancelled by nobody", ring, position,
                 host.grain[ring][position]);
  }
  if (status != Status::kCancelled && must) {
    machine.fail("ring %u position %llu runs although it was cancelled before", ring, position);
  }
  if (setup.repeats != 0 && host.steps[position] != 2 * setup.repeats) {
    machine.fail("position %llu is answered after %llu of %llu program steps", position,
                 host.steps[position], 2 * setup.repeats);
  }
  if (broken(Break::kProgressOfAnother)) {
    program_header() = {2, 0, 0, 2 * kMaxIndices, position + 2, setup.repeats, 0, 0};
  }
  const Status good = setup.block_threads == 1 ? Status::kOk : Status::kOutOfBounds;
  if (status != Status::kCancelled && status != good) {
    machine.fail("ring %u position %llu is answered with status %u", ring, position, u32(status));
  }
}

inline void worker_body(u32 worker) {
  Host& host = world.host;
  Env env{worker};
  const u32 ring = env.ring();
  u64 seen = 0;
  for (;;) {
    machine.block_until(
        [&host, seen, ring] { return host.launched != seen && ring < host.launch_rings; });
    seen = host.launched;
    const u64 expected = host.expected;
    const EngineView engine = engine_view();
    RingView view = ring_view(ring);
    host.serving[ring] = seen;
    if (!setup.device) Words::exchange(view.control->wake.value, kAwake);
    if (ring == 0 && broken(Break::kLeaveReset)) {
      Words::store_release_gpu(engine.shared->leave.value, 0);
    }
    if (broken(Break::kProgressLost)) program_header().position = 0;
    if (setup.apart) {
      serve_apart(worker, engine, view, seen);
    } else {
      serve(env, engine, view, seen);
    }
    const u64 head = machine.load_quietly(world.states[ring].head);
    if (!setup.device) {
      for (u32 r = 0; r < setup.rings; ++r) {
        if (r == ring || broken(Break::kNoRouse)) continue;
        if (rouse<Words>(world.ring_control[r])) wake_sleeper(r);
      }
      announce_out<Words>(view, head);
    }
    if (broken(Break::kEarlyExit)) {
      Words::fence_sys();
      Words::store_fenced_sys(engine.control->exited_epoch.value, seen);
    }
    host.serving[ring] = 0;
    host.out[ring] = seen;
    if (host.fetching[ring] != 0) {
      machine.fail("ring %u is out of launch %llu, and its poller looks on", ring, seen);
    }
    const bool last = count_out<Words>(engine, expected, seen);
    if (setup.device) continue;
    const bool look = !broken(Break::kNoLookAfterOut);
    if (look && announce_out<Words>(view, head)) kick(ring, kOut);
    if (last) last_out();
  }
}

}  // namespace explore
