// How a launch ends: the words that make all workers of one launch leave together. [R7][R12]
//
// Otherwise a lone worker's relaunch queues behind a busy ring and starves. Worker 0 alone reads
// the host's words; it, or any worker whose clock passes the lease, writes `leave`; every worker
// reads that each round; the last one out writes `exited_epoch`.
#pragma once

#include "layout.hpp"
#include "words.hpp"

namespace gpures {

template <class Words>
GPURES_HD bool must_leave(const EngineView& engine, u64 epoch) {
  return Words::load_relaxed_gpu(engine.shared->leave.value) >= epoch;  // nothing lies behind it
}

template <class Words>
GPURES_HD void tell_leave(const EngineView& engine, u64 epoch) {
  // Several workers may write it, all the same epoch; worker memory, not the bus. [R1]
  Words::store_release_gpu(engine.shared->leave.value, epoch);
}

// Worker 0 only: mirror the host's words into worker memory.
template <class Words>
GPURES_HD void mirror_host_words(const EngineView& engine, u64 epoch) {
  // Across the bus together; behind the last one lie the entries that it counts.
  const u64 mirrored = Words::load_relaxed_gpu(engine.shared->cancels.value);
  const u64 stop = Words::load_relaxed_sys(engine.control->stop.value);
  const u64 park = Words::load_relaxed_sys(engine.control->park_epoch.value);
  const u64 cancels = Words::load_acquire_sys(engine.control->cancels.value);
  if (stop != 0) Words::store_release_gpu(engine.shared->stop.value, stop);
  if (cancels != mirrored) Words::store_release_gpu(engine.shared->cancels.value, cancels);
  if (stop != 0 || park >= epoch) tell_leave<Words>(engine, epoch);
}

// Between slices of a Compute. Worker 0 mirrors nothing while it computes, so it looks at the
// host's word itself; the others read its copy. [R6]
template <class Words>
GPURES_HD bool must_stop(const EngineView& engine, const RingView& ring) {
  if (ring.index != 0) return Words::load_relaxed_gpu(engine.shared->stop.value) != 0;
  const u64 stop = Words::load_relaxed_sys(engine.control->stop.value);
  if (stop != 0) Words::store_release_gpu(engine.shared->stop.value, stop);
  return stop != 0;
}

// A poller that found nothing: is the launch over? Leaves after `linger` without a message on any
// ring (worker 0 decides for all), and after the lease in any case.
template <class Words>
GPURES_HD void check_deadlines(const EngineView& engine, const RingView& ring, u64 epoch, u64 now,
                               u64 started, u64 quiet_since) {
  if (now - started > engine.lease_ticks) {
    tell_leave<Words>(engine, epoch);
    return;
  }
  if (ring.index != 0 || now - quiet_since < engine.linger_ticks) return;
  for (u32 r = 1; r < engine.rings; ++r) {
    const u64 active = Words::load_relaxed_gpu(engine.states[r].active);
    // Clocks of two workers may differ by a little: a later stamp is recent, not ancient.
    if (active != 0 && (active >= now || now - active < engine.linger_ticks)) return;
  }
  tell_leave<Words>(engine, epoch);
}

// Every worker once, after its head is stored. `left` counts over all launches, so it is never
// reset [R7]; `expected` is its value when all workers of this launch are out.
// Returns true for the last one. release: heads and completions happen-before the epoch.
template <class Words>
GPURES_HD bool count_out(const EngineView& engine, u64 expected, u64 epoch) {
  if (Words::fetch_add_gpu(engine.shared->left.value, 1) + 1 != expected) return false;
  Words::fence_sys();
  Words::store_fenced_sys(engine.control->exited_epoch.value, epoch);
  return true;
}

// Host. acquire: pairs with count_out().
template <class Words>
GPURES_HD bool has_exited(const EngineControl& control, u64 epoch) {
  return Words::load_acquire_sys(control.exited_epoch.value) >= epoch;
}

}  // namespace gpures
