// A grain's entry in the engine: where it posts, what it holds back, what it has counted.
#pragma once

#include <atomic>
#include <deque>
#include <memory>

#include "host/clock.hpp"
#include "host/latency_counts.hpp"
#include "shared/layout.hpp"

namespace gpures {

class RingHost;
class Engine;
struct Held;

struct GrainCounts {
  u64 messages = 0, failed = 0, service_ns = 0, pending = 0, touched = 0, idle_ns = 0;
};

class Grain {
 public:
  Grain(Engine& engine, RingHost& ring, u32 index)
      : engine(engine), ring(ring), index(index), used(ticks()) {}

  Engine& engine;
  RingHost& ring;
  const u32 index;

  // Live allocations as the binding counts them, under the GIL.
  u64 allocations = 0, bytes = 0;

  // The rest is guarded by the ring's lock.
  u32 hold = 0;          // > 0: messages are held back
  u64 holder = 0;        // the thread that holds
  u32 inflight = 0;      // in slots, not answered
  u32 flying = 0;        // on a stream, not ended: later messages are held back
  u32 stream = 0;        // which, while some are
  u32 joins = 0;         // of those in flight, the ends of borrows on streams of the user's
  u64 touched = 0;       // changes by no message of its own: borrows, others' programs
  bool sending = false;  // a large transfer is being posted in parts
  std::unique_ptr<std::deque<Held>> held;  // made when first needed
  GrainCounts counts;
  LatencyCounts service;  // of `counts.messages`
  u64 used;               // ticks of the newest answer
};

}  // namespace gpures
