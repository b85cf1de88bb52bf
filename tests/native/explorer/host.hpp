// The host's side around the shipped edges: post, harvest, launch, kick, keeper, park, stop. The
// rules are those of host/ring_host.cpp, host/engine.cpp, host/engine_keeper.cpp and
// host/host_driver.cpp; only their waiting is different: here a thread that waits cannot step.
#pragma once

#include "explorer/worker.hpp"

namespace explore {

inline void lock(u64& mutex) {
  machine.block_until([&mutex] { return mutex == 0; });
  mutex = 1;
}
inline void unlock(u64& mutex) {
  machine.begin_atomic();  // everything written under the lock is visible
  mutex = 0;
}

inline void wake_sleeper(u32 ring) {
  lock(world.host.sleep_lock[ring]);
  unlock(world.host.sleep_lock[ring]);
  if (world.host.sleeping[ring] != 0) machine.log("wakes worker %u", ring);
  world.host.sleeping[ring] = 0;
}

inline bool exited_locked() {
  return world.host.launched == 0 || has_exited<Words>(world.control, world.host.launched);
}

inline void launch_locked() {
  Host& host = world.host;
  for (u32 r = 0; r < host.launch_rings; ++r) {
    if (host.out[r] != host.launched) {
      machine.fail("launch %llu while worker %u is in launch %llu", host.launched + 1, r,
                   host.launched);
    }
  }
  ++host.launched;
  host.launch_rings = setup.rings;
  host.expected += setup.rings;
  host.wanted = 0;
  if (broken(Break::kHeadAtLaunch)) {
    for (u32 r = 0; r < setup.rings; ++r) world.states[r].head = host.harvested[r];
  }
  machine.log("launches %llu", host.launched);
  machine.tell_change();
}

// A kick that comes while the launch is on its way out is remembered for the last worker.
inline void kick(u32 ring, WakeState) {
  Host& host = world.host;
  if (!broken(Break::kNoLaunchLock)) lock(host.launch_lock);
  if (exited_locked()) {
    if (broken(Break::kNoLaunchLock)) machine.block_until([] { return true; });
    if (host.quiesced == 0) launch_locked();
  } else {
    if (!broken(Break::kForgetKick)) host.wanted = 1;
    wake_sleeper(ring);
  }
  if (!broken(Break::kNoLaunchLock)) unlock(host.launch_lock);
}

inline void last_out() {
  Host& host = world.host;
  lock(host.launch_lock);
  if (host.wanted != 0 && host.quiesced == 0 && exited_locked()) launch_locked();
  unlock(host.launch_lock);
}

inline Slot message_of(Opcode opcode, u32 grain) {
  Slot message{};
  message.grain = grain;
  message.opcode = u16(opcode);
  return message;
}

inline void commit_broken(Slot& slot, const Slot& message, u64 position) {
  if (broken(Break::kSequenceFirst)) Words::store_release_sys(slot.sequence, position + 1);
  for (u32 word = 1; word < kSlotWords; ++word) {
    Words::put(reinterpret_cast<u64*>(&slot)[word], reinterpret_cast<const u64*>(&message)[word]);
  }
  if (broken(Break::kRelaxedCommit)) Words::store_relaxed_sys(slot.sequence, position + 1);
}

// Under the ring's lock. The page is written before commit().
inline void place(u32 ring, const Slot& wanted, u64 position) {
  Host& host = world.host;
  Slot message = wanted;
  message.request = request_of(ring, position);
  message.payload[4] = stamp_of(ring, position);
  host.first_word[ring][position] = message.payload[0];
  host.grain[ring][position] = message.grain;
  Slot& slot = world.slots[ring][position % setup.slots];
  Words::put(*page_word(ring, position), stamp_of(ring, position));
  if (broken(Break::kSequenceFirst) || broken(Break::kRelaxedCommit)) {
    commit_broken(slot, message, position);
  } else {
    commit<Words>(slot, message, position);
  }
}

inline bool has_room(u32 ring) {
  const u64 early = broken(Break::kPostTooEarly) ? 1 : 0;
  return world.host.posted[ring] < world.host.harvested[ring] + setup.slots + early;
}

// After commit(): wake or launch, as the driver needs it.
inline void kick_after(u32 ring, WakeState found) {
  if (!setup.device) {
    if (found != kAwake) kick(ring, found);
    return;
  }
  lock(world.host.launch_lock);
  if (exited_locked() && world.host.quiesced == 0) launch_locked();
  unlock(world.host.launch_lock);
}

inline u64 post(u32 ring, const Slot& message) {
  Host& host = world.host;
  const bool locked = !broken(Break::kTwoPosters);
  u64& mutex = host.ring_lock[ring];
  machine.block_until([&mutex, ring, locked] { return has_room(ring) && (mutex == 0 || !locked); });
  if (locked) mutex = 1;
  const u64 position = host.posted[ring];
  if (!locked) machine.block_until([] { return true; });
  place(ring, message, position);
  host.posted[ring] = position + 1;
  const WakeState found = setup.device ? kAwake : after_commit<Words>(world.ring_control[ring]);
  if (locked) unlock(mutex);
  kick_after(ring, found);
  return position;
}

inline Slot plain_message() {
  if (setup.slices == 0) return message_of(Opcode::kNoop, 1);
  Slot message = message_of(Opcode::kCompute, 1);
  auto& compute = *reinterpret_cast<ComputeMessage*>(message.payload);
  compute.indices = 1;
  compute.n = setup.slices * kSliceIndices;
  return message;
}

inline void poster_body(u32 ring) {
  const u32 share = ring == 0 ? setup.messages[0] / setup.posters : setup.messages[ring];
  for (u32 n = 0; n < share; ++n) post(ring, plain_message());
}

// One completion, looked at once more than needed: it must be this position's and whole.
inline void take_completion(u32 ring, u64 position) {
  Host& host = world.host;
  CompletionEntry answer;
  copy_completion<Words>(answer, world.completions[ring][position % setup.slots]);
  if (answer.taken != host.stamp[ring][position] || host.executed[ring] <= position) {
    machine.fail("ring %u position %llu is answered with another message's or a torn completion",
                 ring, position);
  }
  if (++host.answers[ring][position] != 1) {
    machine.fail("ring %u position %llu is answered twice", ring, position);
  }
  machine.log("takes completion %llu", position);
}

inline bool published(u32 ring, u64 position) {
  const CompletionEntry& entry = world.completions[ring][position % setup.slots];
  if (broken(Break::kParityForSequence)) {
    const u64 sequence = Words::load_acquire_sys(entry.sequence);
    return sequence != 0 && ((sequence - 1) / setup.slots) % 2 == (position / setup.slots) % 2;
  }
  return is_published<Words>(entry, position);
}

inline void reader_body(u32 ring) {
  Host& host = world.host;
  for (u64 position = 0; position < setup.messages[ring]; ++position) {
    const u64& sequence = world.completions[ring][position % setup.slots].sequence;
    for (;;) {
      const u64 seen = sequence;  // of the visible memory: a change before the wait is no loss
      if (published(ring, position)) break;
      machine.wait_while(sequence, seen);
    }
    take_completion(ring, position);
    host.harvested[ring] = position + 1;
  }
}

// has_news() for a request that somebody else's poll may have answered, laps ago.
inline void late_waiter_body(u32 ring) {
  const u64& sequence = world.completions[ring][0].sequence;
  if (published(ring, 0) && sequence != 1) {
    machine.fail("position 0 looks published, and completion %llu lies there", sequence - 1);
  }
}

// Pending implies something will move. [R13]
inline void keeper_body(u32) {
  Host& host = world.host;
  const auto pending = [&host] {
    for (u32 r = 0; r < setup.rings; ++r) {
      if (world.ring_control[r].done.value < host.posted[r]) return true;
    }
    return false;
  };
  for (;;) {
    machine.block_until([&host, &pending] {
      return pending() && host.quiesced == 0 && host.launch_lock == 0 &&
             world.control.exited_epoch.value >= host.launched;
    });
    lock(host.launch_lock);
    if (pending() && exited_locked() && host.quiesced == 0) launch_locked();
    unlock(host.launch_lock);
  }
}

inline void rouse_all() {
  for (u32 r = 0; r < world.host.launch_rings; ++r) {
    if (!setup.device && rouse<Words>(world.ring_control[r])) wake_sleeper(r);
  }
}

// quiesced(): nothing runs inside, and what was posted meanwhile runs afterwards.
inline void parker_body(u32) {
  Host& host = world.host;
  lock(host.launch_lock);
  host.quiesced = 1;
  Words::store_release_sys(world.control.park_epoch.value, host.launched);
  rouse_all();
  unlock(host.launch_lock);
  while (!exited_locked()) machine.look_again();
  const u64 launched = host.launched;
  for (u32 r = 0; r < setup.rings; ++r) {
    if (host.serving[r] != 0) machine.fail("worker %u runs inside quiesced()", r);
  }
  lock(host.launch_lock);
  if (host.launched != launched) machine.fail("a launch inside quiesced()");
  host.quiesced = 0;
  bool pending = false;
  for (u32 r = 0; r < setup.rings; ++r) pending |= host.posted[r] != host.harvested[r];
  if (pending && exited_locked()) launch_locked();
  unlock(host.launch_lock);
}

// close(): the host answers what no worker did, once.
inline void stopper_body(u32) {
  Host& host = world.host;
  Words::store_release_sys(world.control.stop.value, 1);
  lock(host.launch_lock);
  host.stopped = 1;
  rouse_all();
  unlock(host.launch_lock);
  for (;;) {
    lock(host.launch_lock);
    const bool exited = exited_locked();
    if (exited) host.quiesced = 1;
    unlock(host.launch_lock);
    if (exited) break;
    machine.look_again();
  }
}

inline void clock_body(u32) {
  for (u32 n = 0; n < setup.linger_jumps + setup.lease_jumps; ++n) {
    machine.block_until([] { return true; });
    world.host.clock += n < setup.linger_jumps ? kLinger + 20 : kLease + 20;
    machine.log("the clock moves past the %s", n < setup.linger_jumps ? "linger" : "lease");
    machine.tell_change();
  }
}

}  // namespace explore
