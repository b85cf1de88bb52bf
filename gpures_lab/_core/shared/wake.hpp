// Sleeping and waking on the host driver; the GPU never sleeps, its launches end instead.
//
// Poster and worker both *exchange* one word: the poster after the slot's release, the worker when
// it announces sleep or exit and before its last look. One of the two exchanges comes first, so
// either the poster sees the announcement and kicks, or the worker sees the slot. [R13]
#pragma once

#include "ring.hpp"

#if !GPURES_DEVICE_COMPILE
namespace gpures {

// Poster, after commit(). Returns what the worker had announced: kAwake needs nothing, kAsleep a
// futex wake, kOut a relaunch.
template <class Words>
WakeState after_commit(RingControl& control) {
  return WakeState(Words::exchange(control.wake.value, kAwake));
}

// Worker, inside a launch. True: it may sleep until woken (the caller's wait must re-check
// `leave` and have a limit). False: a message came meanwhile.
template <class Words>
bool announce_sleep(RingView& ring, u64 head) {
  Words::exchange(ring.control->wake.value, kAsleep);
  if (!is_ready<Words>(ring.slots[head & (ring.slot_count - 1)], head)) return true;
  Words::exchange(ring.control->wake.value, kAwake);
  return false;
}

// Worker, before count_out() and again after it. True: a message waits, and the poster may have
// looked before the exit was visible, so the worker itself must ask for a relaunch.
template <class Words>
bool announce_out(RingView& ring, u64 head) {
  Words::exchange(ring.control->wake.value, kOut);
  return is_ready<Words>(ring.slots[head & (ring.slot_count - 1)], head);
}

// A worker that leaves, or the host that parks: let sleepers of this launch look at `leave`.
// Never touches kOut, or a poster would not know that it must relaunch.
template <class Words>
bool rouse(RingControl& control) {
  return Words::exchange_if(control.wake.value, kAsleep, kAwake);
}

}  // namespace gpures
#endif
