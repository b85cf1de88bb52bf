// What the engine asks of a driver; everything else (launch order, parking, staging, holding back)
// lives above it and is the same for host and CUDA.
#pragma once

#include "host/memory_plan.hpp"
#include "host/stream_work.hpp"
#include "shared/layout.hpp"

namespace gpures {

// Of a work that was to start; kRefused: nothing was started, and everything else goes on.
enum class Started : u8 { kYes, kRefused, kLost };

class Driver {
 public:
  virtual ~Driver() = default;
  // Before the first launch, with `rings` in the shared part of the memory.
  virtual void use_memory(const EngineMemory&, const EngineView&, const RingView* /*rings*/) {}
  // In a quiesced window: the next launch knows this kernel. False: its id is too large, or the
  // device is lost. The host's workers read the registry itself.
  virtual bool publish_kernel(u32 /*id*/, const KernelEntry&) { return true; }
  // Starts rings [0, view.rings). `expected_out`: WorkerShared::left when all of them have left.
  // False: the device is lost.
  virtual bool launch(const EngineView& view, u64 epoch, u64 expected_out) = 0;
  // The worker of `ring` sleeps and should look again.
  virtual void wake(u32 ring) = 0;
  // Does the worker of `ring` run on the caller's core, as far as is known? Then a caller that
  // spins keeps it from answering.
  virtual bool shares_core(u32 /*ring*/) { return false; }
  // The launch has had its lease. A device's own clock tells its workers; a host worker inside a
  // program reads no clock.
  virtual void end_lease(const EngineView& view, u64 epoch) = 0;
  // After a fault no word changes, only a query tells. The keeper asks, at least every 1 ms while
  // a launch is out; the query also makes a queued launch start. True: the device is lost.
  virtual bool is_lost() = 0;
  // Plain work beside the ring. Those of one stream run in the order in which they were started;
  // `slot` is free, and says which stream. `why`: the driver's error, of one that is refused. The
  // engine serializes these.
  virtual Started start_work(u32 /*slot*/, const StreamWork&, u64& /*why*/) {
    return Started::kLost;
  }
  // Of a plain launch under way: a number that is not 0 once it has begun to run, moves with each
  // of its passes, and is no other launch's. [R6]
  virtual u64 progress(u32 /*slot*/) { return 0; }
  // The oldest work under way of its stream, which has `slot`, is done.
  virtual bool is_done(u32 /*slot*/, WorkResult&) { return false; }
  // Marks the end of what the calling thread sees queued on a stream of the user's. False: `why`
  // says what the driver thinks of that stream; nothing else has changed.
  virtual bool mark_stream(u64 /*stream*/, u32& /*mark*/, u64& /*why*/) { return false; }
  // Everything before the mark has run; the mark is gone then. The engine serializes these too.
  virtual bool is_past(u32 /*mark*/) { return true; }
  // After `stop`. False: a worker did not end within the limit; its memory must stay.
  virtual bool shutdown(u64 limit_ns) = 0;
};

}  // namespace gpures
