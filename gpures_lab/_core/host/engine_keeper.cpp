// The keeper: pending implies something will move [R13]. It relaunches, harvests, starts works, and
// notices a lost device or a stall.
#include <algorithm>

#include "host/engine.hpp"

namespace gpures {

bool Engine::work_left() const {
  return std::any_of(rings_.begin(), rings_.end(),
                     [](const auto& ring) { return ring->pending() != 0; });
}

// What a launch can move: held-back messages wait for something else.
bool Engine::slots_left() const {
  return std::any_of(rings_.begin(), rings_.end(),
                     [](const auto& ring) { return ring->placed() != 0; });
}

// For a thread that must not wait for a driver's call, nor for the lock of one that makes it.
void Engine::nudge_keeper() {
  nudged_.exchange(true);
  while (!launching_) {  // a launch under way tells the keeper when it is over
    std::unique_lock lock(launch_mutex_, std::try_to_lock);
    if (lock) return keeper_wake_.notify_one();
    cpu_relax();  // all others hold it for a microsecond
  }
}

void Engine::keep() {
  constexpr auto kTick = std::chrono::milliseconds(1);
  constexpr u64 kAwakeFor = 50'000'000;  // bursts do not pay a wake-up each
  u64 busy_until = steady_ns() + kAwakeFor;
  const PunctualSleep nap;
  std::unique_lock lock(launch_mutex_);
  while (!stop_keeper_) {
    const bool work = work_left();
    const u64 now = steady_ns();
    if (work || !exited_locked() || join_count_ != 0) busy_until = now + kAwakeFor;
    if (now >= busy_until) {
      keeper_asleep_ = true;
      keeper_wake_.wait(lock, [&] {
        return stop_keeper_ || nudged_ || work_left() || join_count_ != 0 || !exited_locked();
      });
      keeper_asleep_ = false;
      stall_since_ = 0;  // the clock starts again: nobody looked meanwhile
    } else if (works_ != 0 || join_count_ != 0) {
      // A work's end changes no word: it is asked for, ever less often while nothing moves.
      const u64 quiet = now - std::min(now, works_moved_ns_.load(std::memory_order_relaxed));
      lock.unlock();
      nap.sleep(std::clamp<u64>(quiet / 16, 2'000, 1'000'000));
      lock.lock();
    } else {
      keeper_wake_.wait_for(lock, kTick);
    }
    if (stop_keeper_) return;
    nudged_ = false;
    keeper_looked_ns_ = steady_ns();
    // A program reads no clock between its steps. [R12]
    if (!exited_locked() && steady_ns() - launched_ns_ > options_.lease_ns) {
      driver_->end_lease(view_, launched_);
    }
    const bool is_out = !failed_ && (!exited_locked() || flying_count_ != 0 || join_count_ != 0);
    bool lost = device_lost_;
    lock.unlock();
    lost = lost || (is_out && driver_->is_lost());  // no poster waits for this call
    for (auto& ring : rings_) {
      if (ring->pending() != 0) ring->poll();
    }
    drive_works();
    if (lost && !failed_) fail(Status::kDeviceLost);
    if (failed_) abandon_works(failed_by_);  // what a stand-in could not
    check_stall(steady_ns());
    if (works_ != 0 && !failed_) check_works(steady_ns());
    lock.lock();
    // After the poll: what was answered needs no launch.
    if (slots_left() && !failed_ && !terminated_ && quiesced_ == 0 && exited_locked()) {
      launch_locked();
    }
  }
}

// A stall is stall_ns without progress of anything that is pending, after the launch has started;
// a long but living kernel moves `beat`.
void Engine::check_stall(u64 now) {
  u64 signature = 0;
  u64 waiting = 0;
  for (auto& ring : rings_) {
    const RingControl& control = *ring->view.control;
    signature += HostWords::load_relaxed_sys(control.done.value) +
                 HostWords::load_relaxed_sys(control.current.value) +
                 HostWords::load_relaxed_sys(control.beat.value);
    waiting += ring->in_slots();
  }
  std::unique_lock lock(launch_mutex_, std::try_to_lock);
  if (!lock) return;  // a launch under way: nothing of ours runs
  // A launch that has not begun (a busy device) is no stall: the state says STARTING.
  const u64 begun = HostWords::load_acquire_sys(view_.control->started_epoch.value);
  if (waiting == 0 || exited_locked() || begun < launched_ || signature != stall_signature_ ||
      stall_since_ == 0) {
    stall_signature_ = signature;
    stall_since_ = now;
    return;
  }
  // Another thread may have set the clock after this one looked at it.
  if (now - std::min(now, stall_since_) < options_.stall_ns) return;
  lock.unlock();
  note_stall();
  fail(Status::kRingStalled, false);
}

// A plain launch has no beat: it stalls when it neither ends nor begins another of its passes. One
// that waits for a busy device has not begun.
void Engine::check_works(u64 now) {
  std::unique_lock works(works_mutex_);
  const auto& launches = flying_[stream_of(WorkKind::kLaunch)];
  const bool runs = !launches.empty() && launches.front().work->kind == WorkKind::kLaunch;
  const u64 progress = runs ? driver_->progress(launches.front().slot) : 0;
  if (progress == 0 || progress != works_progress_) {
    works_progress_ = progress;
    works_since_ = now;
    return;
  }
  if (now - works_since_ < options_.stall_ns) return;
  stall_ = {launches.front().message.request->id, launches.front().grain->index};
  works.unlock();
  fail(Status::kRingStalled);
}

// By those who wait, where the keeper is kept in a driver's call: another thread's call, say one
// that frees memory, holds the driver until the kernel ends that never does. [R6]
void Engine::stand_in() {
  const u64 now = steady_ns();
  if (!options_.device || failed_ ||
      now - std::min(now, keeper_looked_ns_.load()) < options_.stall_ns) {
    return;
  }
  {
    std::unique_lock lock(launch_mutex_, std::try_to_lock);
    if (!lock || !started_ || keeper_asleep_) return;
  }
  check_stall(now);
}

// False: it is in a driver's call that does not return; whenever it does, it finds itself stopped.
bool Engine::keeper_ended(u64 limit_ns) {
  if (!keeper_.joinable()) return true;
  const u64 since = steady_ns();
  while (options_.device && !keeper_out_) {
    if (steady_ns() - since >= limit_ns) {
      keeper_.detach();
      return false;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  keeper_.join();
  return true;
}

void Engine::note_stall() {
  for (auto& ring : rings_) {
    const u64 current = HostWords::load_relaxed_sys(ring->view.control->current.value);
    if (current == 0 || ring->in_slots() == 0) continue;
    const Slot& slot = ring->view.slots[(current - 1) & (ring->view.slot_count - 1)];
    stall_ = {slot.request, slot.grain};
    return;
  }
}

void Engine::fail(Status cause, bool waits) {
  Status none = Status::kOk;
  if (!failed_by_.compare_exchange_strong(none, cause)) return;  // who was first ends it
  failed_ = true;
  for (auto& ring : rings_) ring->close(cause);
  abandon_works(cause, waits);
}

}  // namespace gpures
