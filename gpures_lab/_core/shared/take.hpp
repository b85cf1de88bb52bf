// The poller's look at its slots. [R2][R4]
#pragma once

#include "ring.hpp"

namespace gpures {

// A block whose first kLanes threads poll together: a look across the bus takes a microsecond, and
// thirty-two of them at once take as long as one.
template <class Env>
inline constexpr bool kTogether = requires { Env::kLanes; };

template <class Env>
GPURES_HD bool polls(const Env& env) {
  if constexpr (kTogether<Env>) {
    return env.thread() < Env::kLanes;
  } else {
    return env.leader();
  }
}

// Whether the look after a hit is at kBatch slots at once: a trip less for a ring that is full, and
// so many lines more across the bus for one that is not. A variant, see fetch.hpp.
template <class Env>
inline constexpr bool kLooksAhead = requires { Env::kLooksAhead; };

// One slot while idle, up to kBatch after a hit (always kBatch would cost the user's PCIe link
// ~13 GB/s of polling). `all`: at kBatch at once.
template <class Env>
GPURES_HD u32 take(Env& env, const RingView& ring, u64 head, Slot* messages, bool all = false) {
  using Words = typename Env::Words;
  if constexpr (kTogether<Env>) {
    static_assert(Env::kLanes <= kBatch);
    const u32 lane = env.thread();
    const Slot& slot = ring.slots[(head + lane) & (ring.slot_count - 1)];
    const bool first = lane == 0 || all;
    bool ready = first && is_ready<Words>(slot, head + lane);
    u32 count = env.run_of(ready);
    if (count == 0) return 0;
    // The first one's payload is on its way while the others look.
    const u64* const from = reinterpret_cast<const u64*>(&slot);
    u64 words[kSlotWords] = {};
    if (first && ready) {
      for (u32 w = 1; w < kSlotWords; ++w) words[w] = Words::get(from[w]);
    } else if (!all) {
      ready = is_ready<Words>(slot, head + lane);
    }
    if (!all) count = env.run_of(ready);
    if (lane >= count) return count;
    if (!first) {
      for (u32 w = 1; w < kSlotWords; ++w) words[w] = Words::get(from[w]);
    }
    u64* const to = reinterpret_cast<u64*>(messages + lane);
    for (u32 w = 1; w < kSlotWords; ++w) to[w] = words[w];
    return count;
  } else {
    u32 count = 0;
    while (count < kBatch) {
      const Slot& slot = ring.slots[(head + count) & (ring.slot_count - 1)];
      if (!is_ready<Words>(slot, head + count)) break;
      copy_message<Words>(messages[count], slot);
      ++count;
    }
    return count;
  }
}

// Whether this round reads the host's words: across the bus each is a look of its own, so a block
// that polls together has them wait for some rounds.
template <class Env>
GPURES_HD bool attends(Env& env, u32 count) {
  if constexpr (kTogether<Env>) {
    return env.attends(count);
  } else {
    return true;
  }
}

}  // namespace gpures
