#include "host/host_driver.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "host/clock.hpp"
#include "host/fault_guard.hpp"
#include "host/kernel_registry.hpp"
#include "host/spin.hpp"
#include "shared/wake.hpp"

namespace gpures {

constexpr int kLooks = 64;

// One thread is the whole block: sync() does nothing.
class HostDriver::Env {
 public:
  using Words = HostWords;
  static constexpr i64 kFirstIndices = 16;

  explicit Env(Shared& shared) : shared_(shared), spin_(shared.spin_ns) {}

  bool leader() const { return true; }
  u32 thread() const { return 0; }
  u32 threads() const { return 1; }
  void sync() const {}
  u64 now() const { return ticks(); }
  Batch& batch() { return batch_; }
  CallFrame& frame() { return frame_; }
  void beat(RingView& ring) { Words::store_relaxed_sys(ring.control->beat.value, ++beats_); }

  int call(const KernelEntry& kernel, const Arguments& frame, i64 begin, i64 end) const {
    const auto code = reinterpret_cast<gpures_kernel>(kernel.code);
    const auto run = [&] {
      code(frame.data, frame.sizes, frame.shapes, frame.params, frame.space, begin, end,
           frame.fault);
    };
    if (kernel.flags & kKernelMayFault) return FaultGuard::run(run);
    run();
    return 0;
  }

  // Between the steps of a program: no clock, the keeper watches the lease.
  void look(const EngineView& engine, RingView& ring, u64 epoch, u64, u64) const {
    if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
  }

  // Spin briefly, then sleep until a poster, a leaver or the next deadline.
  void idle(const EngineView& engine, RingView& ring, u64 epoch, u64 head, u64 started,
            u64 quiet_since) {
    const u64 now = ticks();
    check_deadlines<Words>(engine, ring, epoch, now, started, quiet_since);
    if (must_leave<Words>(engine, epoch)) return;
    Worker& worker = *shared_.workers[ring.index];
    if (now - quiet_since < spin_.ticks() && !worker.cores.worker_is_beside_caller()) {
      // Looks between two readings of the clock: a reading each time added 40 ns to a round trip.
      const Slot& slot = ring.slots[head & (ring.slot_count - 1)];
      for (int look = 0; look < kLooks && !is_ready<Words>(slot, head); ++look) {
      }
      return;
    }
    if (!announce_sleep<Words>(ring, head)) return;
    // A park request that came before the announcement found nobody to rouse.
    if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
    const u64 leased = engine.lease_ticks - std::min(engine.lease_ticks, now - started);
    const u64 lingering = engine.linger_ticks - std::min(engine.linger_ticks, now - quiet_since);
    const u64 limit = ring.index == 0 ? std::min(leased, lingering) : leased;
    std::unique_lock lock(worker.mutex);
    worker.sleeping.wait_for(
        lock, std::chrono::nanoseconds(TickScale::get().to_ns(limit) + 1000), [&] {
          return Words::load_relaxed_sys(ring.control->wake.value) != kAsleep ||
                 must_leave<Words>(engine, epoch);
        });
    lock.unlock();
    worker.cores.worker_is_here();
    const bool woken = Words::exchange(ring.control->wake.value, kAwake) != kAsleep;
    spin_.slept(woken && !must_leave<Words>(engine, epoch) && spin_.is_soon(ticks() - quiet_since));
  }

 private:
  Shared& shared_;
  Spin spin_;
  Batch batch_;
  CallFrame frame_;
  u64 beats_ = 0;
};

HostDriver::HostDriver(std::vector<RingView> rings, u64 spin_ns, Left left)
    : shared_(std::make_shared<Shared>()) {
  shared_->rings = std::move(rings);
  shared_->spin_ns = spin_ns;
  shared_->left = std::move(left);
  for (size_t r = 0; r < shared_->rings.size(); ++r) {
    shared_->workers.push_back(std::make_unique<Worker>());
    shared_->rings[r].control->wake.value = kOut;  // nobody serves it yet
  }
}

HostDriver::~HostDriver() { shutdown(0); }

void HostDriver::Shared::wake(u32 ring) {
  Worker& worker = *workers[ring];
  {
    std::lock_guard lock(worker.mutex);
  }  // the sleeper is inside its wait, or has not looked yet
  worker.sleeping.notify_one();
}

void HostDriver::end_lease(const EngineView& view, u64 epoch) {
  tell_leave<HostWords>(view, epoch);
}

void HostDriver::wake(u32 ring) {
  shared_->workers[ring]->cores.caller_is_here();
  shared_->wake(ring);
}

bool HostDriver::shares_core(u32 ring) {
  return shared_->workers[ring]->cores.caller_is_beside_worker();
}

bool HostDriver::launch(const EngineView& view, u64 epoch, u64 expected_out) {
  Shared& shared = *shared_;
  {
    std::lock_guard lock(shared.mutex);
    shared.launch = {view, epoch, expected_out};
    for (u32 r = 0; r < view.rings; ++r) {
      if (shared.workers[r]->thread.joinable()) continue;
      ++shared.running;
      sigset_t all, before;  // signals belong to the interpreter's main thread
      sigfillset(&all);
      for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, fault);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      shared.workers[r]->thread = std::thread(work, shared_, r);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    shared.epoch.store(epoch, std::memory_order_release);
  }
  if (KernelRegistry::get().any_may_fault()) FaultGuard::install();
  shared.launched.notify_all();
  return true;
}

bool HostDriver::next_launch(Shared& shared, u64 seen, Launch& launch) {
  const u64 since = ticks();
  const u64 spin = TickScale::get().from_ns(shared.spin_ns);
  while (shared.epoch.load(std::memory_order_acquire) == seen && ticks() - since < spin) {
    cpu_relax();
  }
  std::unique_lock lock(shared.mutex);
  shared.launched.wait(
      lock, [&] { return shared.closing || shared.epoch.load(std::memory_order_relaxed) != seen; });
  if (shared.epoch.load(std::memory_order_relaxed) == seen) return false;
  launch = shared.launch;
  return true;
}

void HostDriver::work(std::shared_ptr<Shared> shared, u32 index) {
  FaultGuard::prepare_thread();
  auto env = std::make_unique<Env>(*shared);
  RingView ring = shared->rings[index];
  Launch launch;
  while (next_launch(*shared, launch.epoch, launch)) {
    if (index >= launch.view.rings) continue;
    shared->workers[index]->cores.worker_is_here();
    HostWords::exchange(ring.control->wake.value, kAwake);
    serve(*env, launch.view, ring, launch.epoch);
    for (u32 r = 0; r < launch.view.rings; ++r) {  // nobody sleeps through the end of a launch
      if (r != index && rouse<HostWords>(*shared->rings[r].control)) shared->wake(r);
    }
    const u64 head = ring.state->head;
    announce_out<HostWords>(ring, head);
    const bool last = count_out<HostWords>(launch.view, launch.expected_out, launch.epoch);
    shared->left(index, announce_out<HostWords>(ring, head), last);
  }
  // Under the lock: shutdown() may free the condition variable as soon as it sees zero.
  std::lock_guard lock(shared->mutex);
  --shared->running;
  shared->ended.notify_all();
}

Started HostDriver::start_work(u32 slot, const StreamWork& work, u64&) {
  auto& stream = streams_[slot / kSlotsEach];
  if (!stream) stream = std::make_unique<HostStream>();
  stream->start(slot, work);
  return Started::kYes;
}

bool HostDriver::shutdown(u64 limit_ns) {
  Shared& shared = *shared_;
  bool ended;
  {
    std::unique_lock lock(shared.mutex);
    shared.closing = true;
    shared.launched.notify_all();
    ended = shared.ended.wait_for(lock, std::chrono::nanoseconds(limit_ns),
                                  [&] { return shared.running == 0; });
  }
  for (auto& worker : shared.workers) {
    if (!worker->thread.joinable()) continue;
    if (ended) {
      worker->thread.join();
    } else {
      worker->thread.detach();
    }
  }
  for (auto& stream : streams_) ended = (!stream || stream->shutdown(limit_ns)) && ended;
  return ended;
}

}  // namespace gpures
