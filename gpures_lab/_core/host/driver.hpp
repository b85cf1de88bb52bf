// What the engine asks of a driver; everything else (launch order, parking, staging, holding back)
// lives above it and is the same for host and CUDA.
#pragma once

#include "shared/layout.hpp"

namespace gpures {

class Driver {
 public:
  virtual ~Driver() = default;
  // Starts rings [0, view.rings). `expected_out`: WorkerShared::left when all of them have left.
  virtual void launch(const EngineView& view, u64 epoch, u64 expected_out) = 0;
  // The worker of `ring` sleeps and should look again.
  virtual void wake(u32 ring) = 0;
  // The launch has had its lease. A device's own clock tells its workers; a host worker inside a
  // program reads no clock.
  virtual void end_lease(const EngineView& view, u64 epoch) = 0;
  // After `stop`. False: a worker did not end within the limit; its memory must stay.
  virtual bool shutdown(u64 limit_ns) = 0;
};

}  // namespace gpures
