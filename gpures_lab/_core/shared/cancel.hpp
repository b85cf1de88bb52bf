// grain.cancel() for messages already in slots: the worker answers them as cancelled.
// Allocate, Release and Barrier are never dropped, or the tables would drift from the host's.
#pragma once

#include "layout.hpp"
#include "words.hpp"

namespace gpures {

GPURES_HD bool can_cancel(u16 opcode) {
  return opcode == u16(Opcode::kWrite) || opcode == u16(Opcode::kRead) ||
         opcode == u16(Opcode::kCompute) || opcode == u16(Opcode::kRunProgram);
}

// Host. An entry changes in three ordered steps, 0 first, so that a worker that reads across a
// change sees two different `last`s and leaves the entry alone; the count that follows makes it
// look again. The host reuses an entry only after every position it covers was answered.
template <class Words>
GPURES_HD void write_cancel(RingControl& control, u64 number, u64 grain, u64 last) {
  CancelEntry& entry = control.cancel[number % kCancelEntries];
  Words::store_release_sys(entry.last, 0);
  Words::store_release_sys(entry.grain, grain);
  Words::store_release_sys(entry.last, last);
  Words::store_release_sys(control.cancel_count.value, number + 1);
}

// Worker: copy the ring's entries into worker memory when worker 0's mirror says there are new
// ones, so that no message costs a look across the bus. Pairs with write_cancel().
template <class Words>
GPURES_HD void refresh_cancels(const EngineView& engine, RingView& ring) {
  if (Words::load_relaxed_gpu(engine.shared->cancels.value) == ring.state->cancels_seen) return;
  const u64 cancels = Words::load_acquire_gpu(engine.shared->cancels.value);
  ring.state->cancels_seen = cancels;
  const u64 count = Words::load_acquire_sys(ring.control->cancel_count.value);
  for (u32 n = 0; n < kCancelEntries; ++n) {
    const CancelEntry& entry = ring.control->cancel[n];
    const u64 last = Words::load_acquire_sys(entry.last);
    const u64 grain = Words::load_acquire_sys(entry.grain);
    const bool whole = Words::load_acquire_sys(entry.last) == last;
    ring.state->cancel[n].grain = grain;
    ring.state->cancel[n].last = whole ? last : 0;
  }
  ring.state->cancel_count = count;
}

GPURES_HD u32 lane_of(const Slot& message) {
  return (message.flags >> kBatchLaneShift) % kBatchLanes;
}

GPURES_HD bool is_cancelled(const RingState& state, const Slot& message, u64 position) {
  if ((message.flags & kBatchMember) && state.failed_batch[lane_of(message)] == message.request) {
    return true;
  }
  if (state.cancel_count == 0 || !can_cancel(message.opcode)) return false;
  for (u32 n = 0; n < kCancelEntries; ++n) {
    if (state.cancel[n].grain == message.grain && position < state.cancel[n].last) return true;
  }
  return false;
}

}  // namespace gpures
