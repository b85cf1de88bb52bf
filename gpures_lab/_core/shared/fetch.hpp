// A poller apart from its block: it looks for the next batch while the block runs the present one.
//
//   poller   look at the slots → put what is ready into the free one of two buffers → next
//   block    collect the oldest full buffer → run it → give it back
//
// A variant, off by default (GPURES_POLLER_WARP), for only a GPU can tell which is better. The
// plain loop spends three trips across the bus on each batch in which its block rests: about 3 us
// for 32 messages, beside some 60 ns for each Noop. The poller hides the trips of all batches but
// the first, and reads the host's words meanwhile. It costs a handshake in shared memory on each
// round trip, a ninth warp's registers, and an SM whose issue slots a spinning warp shares. So
// throughput should gain and latency lose; tests/gpu/variants.py measures both beside the other.
//
// What is in a buffer when the launch ends is looked up again by the next one: the head says what
// has been run, not what was fetched. [R4] holds for the poller is the one thread, or the one warp,
// that looks at slots, and [R2] for it acquires each slot before it hands the copy on.
#pragma once

#include "leave.hpp"
#include "take.hpp"

namespace gpures {

// Between a poller and its block; in shared memory on a device, zero when a launch begins.
struct Fetched {
  u64 put;    // poller: batches put into a buffer
  u64 empty;  // poller: looks that found nothing
  u64 done;   // leader: batches whose buffer is free again
  u64 over;   // leader: non-zero = this launch is over for the block
  u32 counts[2];
  Slot messages[2][kBatch];
};

// Env of a block whose poller is apart, and of that poller: fetched() and relax().
template <class Env>
inline constexpr bool kPollsApart = requires { Env::kPollsApart; };

// What the poller's first lane says, to all its lanes.
template <class Env>
GPURES_HD bool said(Env& env, bool yes) {
  if constexpr (kTogether<Env>) {
    return env.run_of(yes) != 0;
  } else {
    return yes;
  }
}

// The poller, until its block says that the launch is over: at most one look later. [R6]
template <class Env>
GPURES_HD void fetch(Env& env, const EngineView& engine, const RingView& ring, u64 epoch) {
  using Words = typename Env::Words;
  Fetched& fetched = env.fetched();
  // The block moves it only after a batch from here.
  u64 head = Words::get(ring.state->head);
  u64 put = 0, empty = 0;
  [[maybe_unused]] bool found = false;
  for (;;) {
    bool over = false, room = false;
    if (env.leader()) {
      over = Words::load_acquire_block(fetched.over) != 0;
      room = put - Words::load_acquire_block(fetched.done) < 2;
    }
    if (said(env, over)) return;
    u32 count = 0;
    if (said(env, room)) {
      bool all = false;
      if constexpr (kLooksAhead<Env>) all = found;
      count = take(env, ring, head, fetched.messages[put & 1], all);
      found = count != 0;
      env.sync_lanes();
      if (env.leader()) {
        if (count != 0) {
          fetched.counts[put & 1] = count;
          // release: the copies of all lanes happen-before. Pairs with collect(). [R2]
          Words::store_release_block(fetched.put, put + 1);
        } else {
          Words::store_release_block(fetched.empty, ++empty);
        }
      }
    }
    if (env.leader()) {
      // Also while both buffers are full: `stop` must get through to a block that runs long.
      if (ring.index == 0 && attends(env, count)) mirror_host_words<Words>(engine, epoch);
      if (count == 0) env.relax();
    }
    head += count;
    put += count != 0;
  }
}

// Leader of the block. Messages of the next batch, 0 when none is there; `looked` then says that
// the poller has looked in vain since the batch before, so that a launch that must leave at once
// has looked once more. acquire: pairs with fetch().
template <class Words>
GPURES_HD u32 collect(const Fetched& fetched, u64& collected, u64& seen_empty, bool& looked) {
  const u64 empty = Words::load_acquire_block(fetched.empty);
  if (Words::load_acquire_block(fetched.put) == collected) {
    looked = empty != seen_empty;
    return 0;
  }
  looked = true;
  seen_empty = Words::load_acquire_block(fetched.empty);
  return fetched.counts[collected++ & 1];
}

}  // namespace gpures
