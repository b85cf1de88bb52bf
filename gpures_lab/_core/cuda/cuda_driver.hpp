// The CUDA driver: launches of the ring kernel on one stream of the highest priority, works on
// others, and the queries that find a fault. Streams, memory and modules are made by
// drivers/cuda.py and outlive this.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "cuda/api.hpp"
#include "host/driver.hpp"

namespace gpures::cuda {

struct Device {
  Context context;
  Stream ring_stream;             // non-blocking, highest priority: ring launches and nothing else
  Function ring_kernel;           // may come later: no launch before use_kernel()
  Stream work_streams[kStreams];  // non-blocking: plain launches and copies
  u32 multiprocessors;
  unsigned ring_threads = 256;  // shared/ring_kernel.cu: __launch_bounds__
};

// Of a plain launch, whose threads stride through the indices; how many blocks a multiprocessor is
// best given is unmeasured.
inline constexpr unsigned kWideThreads = 256;  // shared/device/kernel.hpp: __launch_bounds__
inline constexpr u64 kWideBlocksEach = 16;

class CudaDriver final : public Driver {
 public:
  CudaDriver(const Api& api, const Device& device) : api_(api), device_(device) {}

  void use_memory(const EngineMemory& memory, const EngineView& view,
                  const RingView* rings) override;
  bool publish_kernel(u32 id, const KernelEntry& entry) override;
  bool launch(const EngineView& view, u64 epoch, u64 expected_out) override;
  void wake(u32) override {}                          // a poller polls
  void end_lease(const EngineView&, u64) override {}  // its own clock tells it
  bool is_lost() override;
  Started start_work(u32 slot, const StreamWork& work, u64& why) override;
  bool is_done(u32 slot, WorkResult& result) override;
  u64 progress(u32 slot) override;
  bool mark_stream(u64 stream, u32& mark, u64& why) override;
  bool is_past(u32 mark) override;
  bool shutdown(u64 limit_ns) override;

  // In a quiesced window: the next launch runs this image.
  void use_kernel(Function ring_kernel) { device_.ring_kernel = ring_kernel; }
  // The same: plain launches of this kernel from now on.
  void use_wide(u32 id, Function entry, bool any_blocks);
  // After a shutdown() that returned true, and never at exit.
  void free_events();
  // The first error that any call gave, "" when there was none.
  std::string error() const;

 private:
  struct Wide {
    Function entry = nullptr;
    bool any_blocks = false;
  };
  struct Slot {
    Event begun = nullptr, ended = nullptr;
    bool may_fault = false;
    u64 mark = 0;
  };
  bool note(Result result);  // true: the device is lost
  Started launch_wide(u32 slot, const StreamWork& work, u64& why);
  bool fill(const StreamWork& work);

  const Api& api_;
  Device device_;
  EngineMemory memory_{};
  u64 kernel_capacity_ = 0;
  const RingView* rings_ = nullptr;  // pinned: the kernel's second parameter
  EngineControl* control_ = nullptr;
  u64 launched_ = 0;
  WorkFault* work_faults_ = nullptr;
  WorkFault* seen_faults_ = nullptr;
  Word* begun_works_ = nullptr;
  u64 marks_ = 0;
  std::vector<Wide> wide_;  // changed in quiesced windows, in which no work starts
  Slot slots_[kWorkSlots];
  std::vector<Event> marks_in_streams_;  // by mark
  std::vector<u32> free_marks_;
  std::atomic<Result> error_{kSuccess};
};

}  // namespace gpures::cuda
