// Works of the streams: started in their grains' order, ended by whoever looks. Waiters never come
// here, for it enters the driver; posters of works and the keeper do.
#include "host/engine.hpp"
#include "host/unlocked.hpp"

namespace gpures {

void Engine::work_posted() {
  drive_works();
  std::lock_guard lock(launch_mutex_);
  keeper_wake_.notify_one();  // it looks often from here on
}

bool Engine::join_stream(Grain& grain, u64 stream, u64& why) {
  {
    std::lock_guard works(works_mutex_);
    if (terminated_) return true;  // nothing of the grain goes on
    u32 mark = 0;
    if (!driver_->mark_stream(stream, mark, why)) return false;
    if (driver_->is_past(mark)) return true;
    grain.ring.begin_join(grain);
    joins_.push_back({&grain, mark});
    join_count_.fetch_add(1, std::memory_order_acq_rel);
    works_moved_ns_ = steady_ns();
  }
  std::lock_guard lock(launch_mutex_);
  keeper_wake_.notify_one();
  return true;
}

void Engine::drive_works() {
  if (works_.load(std::memory_order_acquire) == 0 &&
      join_count_.load(std::memory_order_acquire) == 0) {
    return;
  }
  if (options_.device && Unlocked::is_forbidden()) return nudge_keeper();
  const Unlocked unlocked(options_.device);
  std::lock_guard works(works_mutex_);
  std::erase_if(joins_, [&](const Join& join) {
    if (!driver_->is_past(join.mark)) return false;
    works_moved_ns_ = steady_ns();
    join.grain->ring.end_join(*join.grain);
    join_count_.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  });
  for (auto& flying : flying_) {
    while (!flying.empty()) {
      WorkResult result;
      if (!driver_->is_done(flying.front().slot, result)) break;
      Flying flown = std::move(flying.front());
      flying.pop_front();
      works_moved_ns_ = steady_ns();
      flown.ring->end_work(flown, result);
      flown.work.reset();
      // Last: who sees no work under way may free what it used.
      flying_count_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }
  for (u32 stream = 0; stream < kStreams; ++stream) {
    for (auto& ring : rings_) {
      while (start_one(*ring, stream)) {
      }
    }
  }
}

bool Engine::start_one(RingHost& ring, u32 stream) {
  std::deque<Flying>& flying = flying_[stream];
  Flying next;
  if (works_held_ != 0 || failed_ || terminated_ || flying.size() == kSlotsEach ||
      !ring.next_work(stream, next)) {
    return false;
  }
  next.slot = u32(stream * kSlotsEach + started_works_[stream]++ % kSlotsEach);
  flying.push_back(std::move(next));
  flying_count_.fetch_add(1, std::memory_order_acq_rel);
  works_moved_ns_ = steady_ns();
  WorkResult result;
  switch (driver_->start_work(flying.back().slot, *flying.back().work, result.value)) {
    case Started::kYes:
      return true;
    case Started::kRefused: {
      Flying refused = std::move(flying.back());
      flying.pop_back();
      result.status = Status::kNotLaunched;
      refused.ring->end_work(refused, result);
      refused.work.reset();
      flying_count_.fetch_sub(1, std::memory_order_acq_rel);
      return true;
    }
    case Started::kLost:
      break;
  }
  std::lock_guard lock(launch_mutex_);
  device_lost_ = true;  // the keeper answers what is pending
  return false;
}

// `flying_count_` stays, and so do the works, which a thread of the host may still read: what they
// use is never known to be free.
//
// Unless it `waits`, works are left alone that a thread inside the driver is busy with.
void Engine::abandon_works(Status cause, bool waits) {
  std::unique_lock works(works_mutex_, std::defer_lock);
  if (waits) {
    works.lock();
  } else if (!works.try_lock()) {
    return;
  }
  for (auto& flying : flying_) {
    for (Flying& flown : flying) {
      flown.ring->abandon_work(flown, cause);
      left_behind_.push_back(std::move(flown.work));
    }
    flying.clear();
  }
  for (const Join& join : joins_) join.grain->ring.end_join(*join.grain);
  joins_.clear();
  join_count_ = 0;
}

// The keeper takes them: at exit nobody else calls the driver.
bool Engine::works_ended(u64 limit_ns) {
  const u64 since = steady_ns();
  while (flying_count_.load(std::memory_order_acquire) != 0) {
    if (steady_ns() - since >= limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

}  // namespace gpures
