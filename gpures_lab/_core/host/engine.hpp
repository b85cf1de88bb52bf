// The engine: rings, launches, the keeper, the pool, shutdown. Above the driver, so the host driver
// tests all of it.
//
// Locks, outermost first: works_mutex_ → launch_mutex_ → a ring's lock → the pool's. No holder
// takes the GIL.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "host/clock.hpp"
#include "host/driver.hpp"
#include "host/mapping.hpp"
#include "host/memory_plan.hpp"
#include "host/pool.hpp"
#include "host/ring_host.hpp"
#include "shared/leave.hpp"
#include "shared/wake.hpp"

namespace gpures {

struct EngineOptions {
  u64 slots = 1024;
  u64 linger_ns = 500'000;
  u64 lease_ns = 20'000'000;
  u32 max_rings = 16;
  u64 spin_ns = 20'000;
  u64 pool_limit_bytes = u64{1} << 30;
  u64 stall_ns = 5'000'000'000;
  // Transfers and computes of more bytes go on streams beside the ring, as DMA and as plain
  // launches over the whole device.
  u64 dma_above_bytes = kNeverBytes, wide_above_bytes = kNeverBytes;
  // Workers on a device: memory and driver come by attach(), before the first message.
  bool device = false;
};

enum class EngineState : u8 {
  kCreated,
  kStarting,
  kRunning,
  kParked,
  kDraining,
  kTerminated,
  kFailed
};

struct Snapshot {
  PoolCounts pool;
  Histogram queue, service, round_trip;
  u64 posted = 0, processed = 0, failed = 0, unseen = 0, pending = 0, held = 0;
  u64 grains = 0, launches = 0, parks = 0, uptime_ns = 0, now_ns = 0;
  u64 allocations = 0, allocated_bytes = 0;
  EngineState state = EngineState::kCreated;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();

  // References: the manager, and everything that may still call in. The last one destroys it,
  // except in a forked child, whose threads do not exist.
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release();
  bool forked() const { return process_ != current_process(); }
  bool refuses() const { return draining_; }  // no message comes any more

  // A device's engine: what it needs, and what it is given. The memory is the caller's to free,
  // after a close() that returned true.
  const Capacities& capacities() const {
    return options_.device ? kDeviceCapacities : kHostCapacities;
  }
  MemoryBytes memory_bytes() const;
  bool wants_memory() const { return wants_memory_.load(std::memory_order_relaxed); }
  void attach(const EngineMemory& memory, std::unique_ptr<Driver> driver);
  // Kernels in a device's present image; the callers serialize.
  bool has_kernel(u32 id) const { return id < kernels_.size() && kernels_[id] != kUnknown; }
  void note_kernel(u32 id) {
    if (id >= kernels_.size()) kernels_.resize(id + 1);
    if (kernels_[id] == kUnknown) kernels_[id] = kOneBlock;
  }
  // Of a device's kernel: where it may run.
  enum KernelPath : u8 { kUnknown, kOneBlock, kAnyBlocks, kInPasses, kWideOnly };
  void note_path(u32 id, KernelPath path, WidePlanner planner) {
    note_kernel(id);
    kernels_[id] = path;
    planners_.resize(kernels_.size());
    planners_[id] = planner;
  }
  // Null: one launch does.
  WidePlanner planner(u32 id) const { return id < planners_.size() ? planners_[id] : nullptr; }
  bool is_wide_only(u32 id) const { return id < kernels_.size() && kernels_[id] == kWideOnly; }
  // Does a call that touches so many bytes go as a plain launch?
  bool goes_wide(u32 id, u64 bytes) const {
    if (bytes <= options_.wide_above_bytes) return is_wide_only(id);
    return !options_.device || is_wide_only(id) || kernels_[id] == kAnyBlocks ||
           kernels_[id] == kInPasses;
  }
  Driver* driver() const { return driver_.get(); }
  bool on_device() const { return options_.device; }
  // A device's poster asks after its commit; a wrong "no" is the keeper's to mend. [R13]
  bool seems_exited() const {
    return has_exited<HostWords>(*view_.control, launched_hint_.load(std::memory_order_relaxed));
  }

  // Threads appear with the first message.
  void start();
  // Would a spin for this ring's worker keep it off its core? Before the first message there is
  // none: a promise may be waited for then.
  bool shares_core(const RingHost& ring) const {
    return !not_started() && driver_->shares_core(ring.view.index);
  }
  bool not_started() const { return !running_.load(std::memory_order_acquire); }
  // Null: no free ring for a dedicated grain.
  Grain* make_grain(bool dedicated);
  // Owns the memory of the programs that run on `ring`; its messages share the ring's order.
  Grain* program_owner(u32 ring);

  // After commit: the worker of `ring` had announced sleep or exit.
  void kick(u32 ring, WakeState found);
  // Waits without the GIL: spins, then naps. False: not answered within the limit.
  bool wait(const Request& request, u64 limit_ns);
  // Works of the streams (engine_works.cpp).
  std::unique_ptr<StreamWork> new_work(WorkKind kind) {
    return std::make_unique<StreamWork>(kind, works_, ticks());
  }
  void work_posted();
  void drive_works();  // takes those that have ended, starts those that may; enters the driver
  // Until `ready()` (a cheap test under no lock), with completions taken meanwhile.
  template <class Ready>
  bool wait_until(RingHost& ring, u64 limit_ns, Ready&& ready);
  // False: not out within the limit; the request to leave stands.
  bool park(u64 limit_ns);
  // Nested; posting goes on, relaunches wait. The caller parks.
  // `thread`: the one that may not wait for messages meanwhile, 0 = none.
  void begin_quiesced(u64 thread = 0);
  void end_quiesced(u64 thread = 0);
  bool is_quiesced_by(u64 thread) {
    if (quiescers_count_.load(std::memory_order_relaxed) == 0) [[likely]]
      return false;
    std::lock_guard lock(launch_mutex_);
    return std::find(quiescers_.begin(), quiescers_.end(), thread) != quiescers_.end();
  }
  // No new messages from here on; then: true when no slot is taken any more (what is held back
  // by a borrower stays), or the engine has failed.
  void refuse();
  bool wait_drained(u64 limit_ns);
  // Stops accepting; lets pending work end while it makes progress, `drain_ns` at most; answers
  // the rest. False: a worker never ended, its memory is left behind.
  bool close(u64 drain_ns);

  // Staging chunks; kNoChunk when all are in flight.
  u32 take_chunk();
  u32 chunks_left();
  void return_chunk(u32 chunk);
  u8* chunk(u32 index) const { return view_.staging + u64(index) * kStagingChunkBytes; }

  // Requests: made by the ring, dropped once by the caller (see Request::state).
  static constexpr u64 kIdRun = 256;
  Request* lend_requests();
  u64 lend_ids() { return next_request_.fetch_add(kIdRun, std::memory_order_relaxed); }
  void drop(Request* request);
  void bury(Request* request);
  // Requests that still hold a Python object; the caller has the GIL.
  Request* take_graveyard();
  void recycle(Request* request);
  // Somebody has its outcome now: it needs no report.
  void look_at(Request& request);
  // How many have failed since the last call with nobody looking, and some of them.
  u64 take_unseen(std::vector<UnseenFailure>& some);

  // Keeps the last `capacity` rows from here on, those that it has among them; 0 keeps no more.
  void keep_trace(u64 capacity);
  // Rows from number `since` on, as far as they are kept, and the number after the last.
  u64 read_trace(u64 since, std::vector<TraceRow>& rows);
  u64 trace_begin() const { return trace_begin_; }
  void trace(const TraceRow& row);
  bool tracing() const { return tracing_.load(std::memory_order_relaxed); }

  EngineState state() const;
  u64 answered() const;  // messages so far
  Snapshot snapshot();
  const EngineOptions& options() const { return options_; }
  const EngineView& view() const { return view_; }
  RingHost& ring(u32 index) { return *rings_[index]; }
  u32 ring_count() const { return u32(rings_.size()); }
  u64 new_generation(u32 id) { return ++generations_[id]; }
  u32 fresh_handle_id();
  // What did not end when the engine failed; request 0 = none known.
  struct Stall {
    u64 request = 0;
    u32 grain = 0;
  };
  Stall stall() const { return stall_; }

  std::unique_ptr<Pool> pool;
  std::atomic<u64> allocations{0}, allocated_bytes{0};

 private:
  friend class RingHost;
  static u32 current_process();

  void allocate_memory();
  const RingView* use_memory(const EngineMemory& memory);
  void launch_locked();
  void nudge_keeper();
  void set_clocks();
  void rouse_all();
  void on_left(u32 ring, bool waits, bool last);
  bool exited_locked() const;
  bool wait_exited(u64 limit_ns);
  void keep();
  bool work_left() const;
  bool slots_left() const;
  bool start_one(RingHost& ring, u32 stream);
  void abandon_works(Status cause, bool waits = true);
  bool works_ended(u64 limit_ns);
  void check_stall(u64 now);
  void check_works(u64 now);
  void stand_in();
  bool keeper_ended(u64 limit_ns);
  void fail(Status cause, bool waits = true);
  void note_failure(Request& request);
  void note_stall();
  void tell_cancel();

  const EngineOptions options_;
  std::atomic<u32> refs_{1};
  const u32 process_;
  const u64 born_ns_;

  Mapping ring_memory_, tables_, staging_, worker_memory_;
  EngineView view_{};
  std::vector<std::unique_ptr<RingHost>> rings_;
  std::unique_ptr<std::atomic<u64>[]> answered_;
  std::unique_ptr<Driver> driver_;
  Mapping generation_memory_;
  u64* generations_ = nullptr;
  std::atomic<u32> next_handle_id_{0};

  mutable std::mutex launch_mutex_;
  std::condition_variable keeper_wake_;
  std::thread keeper_;
  u64 launched_ = 0;     // epoch of the newest launch
  u64 launched_ns_ = 0;  // when
  std::atomic<u64> launched_hint_{0};
  u64 expected_out_ = 0;
  u32 launch_rings_ = 0;  // rings in the newest launch
  u32 rings_in_use_ = 1;
  u32 quiesced_ = 0;
  std::vector<u64> quiescers_;  // threads
  std::atomic<u32> quiescers_count_{0};
  Stall stall_;  // before failed_
  u64 parks_ = 0;
  bool wanted_ = false;  // somebody was kicked during this launch
  bool device_lost_ = false;
  std::atomic<bool> ended_{true};  // what the first close() found
  std::atomic<bool> launching_{false}, nudged_{false};
  std::atomic<u64> keeper_looked_ns_{0};
  std::atomic<bool> keeper_out_{false};
  std::atomic<Status> failed_by_{Status::kOk};
  std::vector<KernelPath> kernels_;
  std::vector<WidePlanner> planners_;
  std::atomic<bool> wants_memory_;
  bool started_ = false, stop_keeper_ = false, keeper_asleep_ = false;
  std::atomic<bool> running_{false};
  std::atomic<bool> draining_{false}, terminated_{false}, failed_{false};

  std::mutex works_mutex_;
  std::atomic<u64> works_{0}, flying_count_{0};
  std::deque<Flying> flying_[kStreams];  // in the order in which they were started
  u64 started_works_[kStreams] = {};
  std::vector<std::unique_ptr<StreamWork>> left_behind_;
  u32 works_held_ = 0;  // quiesced windows: nothing is started
  std::atomic<u64> works_moved_ns_{0};

  std::mutex grains_mutex_;
  std::vector<std::unique_ptr<Grain>> grains_;
  std::vector<std::unique_ptr<Grain>> program_owners_;  // by ring

  std::mutex chunk_mutex_;
  std::vector<u32> free_chunks_;
  u32 next_chunk_ = 0;

  std::mutex request_mutex_;
  std::vector<std::unique_ptr<Request[]>> request_chunks_;
  std::atomic<Request*> returned_{nullptr};
  std::atomic<Request*> graveyard_{nullptr};
  std::atomic<u64> next_request_{1};

  std::mutex unseen_mutex_;
  std::vector<UnseenFailure> unseen_;
  u64 unseen_count_ = 0, unseen_new_ = 0;  // nobody looked yet; of them, not reported yet
  u32 unseen_round_ = 1;                   // number of the next report

  std::mutex cancel_mutex_;
  u64 cancels_ = 0;

  std::atomic<bool> tracing_{false};
  std::mutex trace_mutex_;
  std::vector<TraceRow> trace_;  // row number r at r % size
  u64 trace_count_ = 0, trace_kept_ = 0;
  const u64 trace_begin_ = ticks();

  u64 stall_signature_ = 0, stall_since_ = 0;
  u64 works_progress_ = 0, works_since_ = 0;  // of the plain launch that runs
};

// A device's worker announces nothing: it polls, or its launch has exited.
inline WakeState RingHost::committed() {
  if (engine_.on_device()) return engine_.seems_exited() ? kOut : kAwake;
  return after_commit<HostWords>(*view.control);
}

template <class Ready>
bool Engine::wait_until(RingHost& ring, u64 limit_ns, Ready&& ready) {
  const u64 since = steady_ns();
  std::optional<PunctualSleep> sleeper;
  for (;;) {
    ring.poll();
    if (ready()) return true;
    const u64 spent = steady_ns() - since;
    if (spent >= limit_ns) return false;
    if (spent < options_.spin_ns && !shares_core(ring)) {
      cpu_relax();
      continue;
    }
    // An eighth of the wait so far: late by 12 % at most, and soon cheap.
    if (!sleeper) sleeper.emplace();
    sleeper->sleep(std::min(std::clamp<u64>(spent / 8, 5'000, 500'000), limit_ns - spent));
    stand_in();
  }
}

}  // namespace gpures
