#include "host/engine.hpp"

#include <algorithm>
#include <pthread.h>

#include "host/host_driver.hpp"
#include "host/kernel_registry.hpp"
#include "host/unlocked.hpp"
#include "shared/wake.hpp"

namespace gpures {

namespace {

std::atomic<u32> process_number{1};

// A forked child has the memory but not the threads: every engine it inherited is closed to it.
const int fork_hook = pthread_atfork(nullptr, nullptr, [] { process_number.fetch_add(1); });

}  // namespace

u32 Engine::current_process() {
  (void)fork_hook;
  return process_number.load(std::memory_order_relaxed);
}

Engine::Engine(const EngineOptions& options)
    : options_(options),
      process_(current_process()),
      born_ns_(steady_ns()),
      wants_memory_(options.device) {
  generation_memory_ = Mapping(capacities().handles * sizeof(u64));
  generations_ = generation_memory_.as<u64>();
  answered_ = std::make_unique<std::atomic<u64>[]>(options_.max_rings);
  for (u32 r = 0; r < options_.max_rings; ++r) {
    RingView ring{};
    ring.slot_count = options_.slots;
    ring.index = r;
    rings_.push_back(std::make_unique<RingHost>(*this, ring, answered_[r]));
  }
  if (!options_.device) allocate_memory();
  pool = std::make_unique<Pool>(options_.pool_limit_bytes, view_.blocks, capacities().blocks,
                                answered_.get(), !options_.device);
}

MemoryBytes Engine::memory_bytes() const {
  return plan_memory(options_.slots, options_.max_rings, capacities());
}

// Address space only: pages are committed when messages touch them.
void Engine::allocate_memory() {
  const MemoryBytes bytes = memory_bytes();
  ring_memory_ = Mapping(bytes.shared);
  worker_memory_ = Mapping(bytes.worker);
  tables_ = Mapping(bytes.tables);
  staging_ = Mapping(bytes.staging);
  use_memory({ring_memory_.base(), tables_.base(), staging_.base(), worker_memory_.base(), nullptr,
              nullptr});
  view_.kernels = KernelRegistry::get().table();
  set_clocks();
}

const RingView* Engine::use_memory(const EngineMemory& memory) {
  const RingView* const views =
      lay_out(memory, options_.slots, options_.max_rings, capacities(), view_);
  for (u32 r = 0; r < options_.max_rings; ++r) rings_[r]->view = views[r];
  return views;
}

// In ticks of the workers' clock: a device's is in nanoseconds.
void Engine::set_clocks() {
  const auto span = [this](u64 ns) { return options_.device ? ns : TickScale::get().from_ns(ns); };
  view_.linger_ticks = span(options_.linger_ns);
  view_.lease_ticks = span(options_.lease_ns);
  view_.publish_ticks = span(5'000);
}

void Engine::attach(const EngineMemory& memory, std::unique_ptr<Driver> driver) {
  std::lock_guard lock(launch_mutex_);
  const RingView* const rings = use_memory(memory);
  view_.kernels = reinterpret_cast<KernelEntry* const*>(memory.kernels);
  set_clocks();
  driver->use_memory(memory, view_, rings);
  pool->set_table(view_.blocks);
  driver_ = std::move(driver);
  wants_memory_ = false;
}

void Engine::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!forked()) delete this;
}

Engine::~Engine() { close(0); }

void Engine::start() {
  std::lock_guard lock(launch_mutex_);
  if (started_ || terminated_ || wants_memory_) return;
  started_ = true;
  std::vector<RingView> views;
  for (auto& ring : rings_) views.push_back(ring->view);
  if (!options_.device) {
    driver_ = std::make_unique<HostDriver>(
        std::move(views), options_.spin_ns,
        [this](u32 ring, bool waits, bool last) { on_left(ring, waits, last); });
  }
  keeper_ = std::thread([this] {
    keep();
    keeper_out_ = true;
  });
  running_.store(true, std::memory_order_release);
}

Grain* Engine::make_grain(bool dedicated) {
  std::lock_guard grains(grains_mutex_);
  u32 ring = 0;
  if (dedicated) {
    std::lock_guard lock(launch_mutex_);
    if (rings_in_use_ >= rings_.size()) return nullptr;
    ring = rings_in_use_++;
  }
  const u32 index = u32(grains_.size()) + 1;
  grains_.push_back(std::make_unique<Grain>(*this, *rings_[ring], index));
  return grains_.back().get();
}

Grain* Engine::program_owner(u32 ring) {
  std::lock_guard grains(grains_mutex_);
  if (program_owners_.empty()) program_owners_.resize(rings_.size());
  auto& owner = program_owners_[ring];
  if (!owner) owner = std::make_unique<Grain>(*this, *rings_[ring], kProgramOwner);
  return owner.get();
}

u32 Engine::fresh_handle_id() {
  const u32 id = next_handle_id_.fetch_add(1, std::memory_order_relaxed);
  if (id >= capacities().handles) throw std::bad_alloc();
  return id;
}

// Launches -----------------------------------------------------------------------------------

bool Engine::exited_locked() const {
  return launched_ == 0 || has_exited<HostWords>(*view_.control, launched_);
}

// All launches of a device are in order, so a needless one is harmless.
void Engine::launch_locked() {
  wanted_ = false;
  ++launched_;
  launched_hint_.store(launched_, std::memory_order_relaxed);
  launched_ns_ = steady_ns();
  launch_rings_ = rings_in_use_;
  expected_out_ += launch_rings_;
  EngineView view = view_;
  view.rings = launch_rings_;
  launching_ = true;
  // The keeper answers what is pending: here the caller may hold what that needs.
  if (!driver_->launch(view, launched_, expected_out_)) device_lost_ = true;
  launching_ = false;
  if (options_.device) keeper_wake_.notify_one();  // of a nudge meanwhile
}

void Engine::kick(u32 ring, WakeState) {
  if (options_.device && Unlocked::is_forbidden()) return nudge_keeper();
  const Unlocked unlocked(options_.device);
  std::lock_guard lock(launch_mutex_);
  if (terminated_ || failed_ || !started_) return;
  if (exited_locked()) {
    if (quiesced_ == 0) launch_locked();
  } else if (ring < launch_rings_) {
    wanted_ = true;  // it may be on its way out: then the last one out relaunches
    driver_->wake(ring);
  } else {  // a ring's first message: it takes part from the next launch on
    wanted_ = true;
    HostWords::store_release_sys(view_.control->park_epoch.value, launched_);
    rouse_all();
  }
  if (keeper_asleep_) keeper_wake_.notify_one();
}

// On the thread of a worker that has left. A kick that met a launch on its way out did nothing;
// the last one out makes good for it.
void Engine::on_left(u32 ring, bool waits, bool last) {
  if (waits) kick(ring, kOut);
  if (!last) return;
  std::lock_guard lock(launch_mutex_);
  if (wanted_ && slots_left() && quiesced_ == 0 && !terminated_ && !failed_ && exited_locked()) {
    launch_locked();
  }
}

void Engine::rouse_all() {
  for (u32 r = 0; r < launch_rings_; ++r) {
    if (rouse<HostWords>(*rings_[r]->view.control)) driver_->wake(r);
  }
}

bool Engine::park(u64 limit_ns) {
  {
    std::lock_guard lock(launch_mutex_);
    if (!started_ || (exited_locked() && flying_count_ == 0)) return true;
    if (HostWords::load_relaxed_sys(view_.control->park_epoch.value) < launched_) ++parks_;
    HostWords::store_release_sys(view_.control->park_epoch.value, launched_);
    rouse_all();
  }
  return wait_exited(limit_ns) || failed_;
}

bool Engine::wait_exited(u64 limit_ns) {
  const u64 since = steady_ns();
  for (;;) {
    {
      std::lock_guard lock(launch_mutex_);
      if (!started_ || (exited_locked() && (quiesced_ == 0 || flying_count_ == 0))) return true;
      // A worker may have announced sleep after the last rouse.
      rouse_all();
    }
    stand_in();
    if (failed_ || steady_ns() - since > limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void Engine::begin_quiesced(u64 thread) {
  {
    std::lock_guard lock(launch_mutex_);
    ++quiesced_;
    if (thread != 0) {
      quiescers_.push_back(thread);
      ++quiescers_count_;
    }
  }
  std::lock_guard works(works_mutex_);
  ++works_held_;
}

void Engine::end_quiesced(u64 thread) {
  {
    std::lock_guard works(works_mutex_);
    --works_held_;
  }
  {
    std::lock_guard lock(launch_mutex_);
    const auto at = std::find(quiescers_.begin(), quiescers_.end(), thread);
    if (at != quiescers_.end()) {
      quiescers_.erase(at);
      --quiescers_count_;
    }
    if (--quiesced_ == 0 && started_ && !terminated_ && !failed_ && slots_left() &&
        exited_locked()) {
      launch_locked();
    }
  }
  drive_works();
}

// Waiting and closing --------------------------------------------------------------------------

bool Engine::wait(const Request& request, u64 limit_ns) {
  if (request.answered()) return true;
  RingHost& ring = request.grain->ring;
  constexpr int kLooks = 64;  // between two readings of the clock, which cost 10 ns each
  const u64 since = ticks();
  const u64 limit = limit_ns < (u64{1} << 50) ? TickScale::get().from_ns(limit_ns) : ~u64{0};
  const u64 spin = std::min(ring.spin.ticks(), limit);
  std::optional<PunctualSleep> sleeper;
  do {
    for (int look = 0; look < kLooks; ++look) {
      if (ring.has_news(request)) ring.poll();
      if (request.answered()) return true;
    }
    if (shares_core(ring)) {  // let it run; then perhaps on another core
      if (!sleeper) sleeper.emplace();
      sleeper->sleep(1'000);
    }
  } while (ticks() - since < spin);
  const u64 left = limit - std::min(limit, ticks() - since);
  const bool answered =
      wait_until(ring, TickScale::get().to_ns(left), [&] { return request.answered(); });
  ring.spin.slept(answered && ring.spin.is_soon(ticks() - since));
  return answered;
}

void Engine::refuse() {
  draining_ = true;
  for (auto& ring : rings_) ring->refuse(Status::kRingClosed);
}

bool Engine::wait_drained(u64 limit_ns) {
  const u64 since = steady_ns();
  for (;;) {
    const auto in_slots = [&] {
      u64 left = 0;
      for (auto& ring : rings_) left += ring->in_slots();
      return left;
    };
    for (auto& ring : rings_) ring->poll();
    if (failed_) return true;  // what is left is the keeper's, who may be kept in the driver
    u64 left = in_slots();
    if (left == 0) {  // what waited for them starts now, or waits for a borrower
      drive_works();
      left = in_slots() + flying_count_ + join_count_;
    }
    if (left == 0 || failed_) return true;
    {
      std::lock_guard lock(launch_mutex_);
      if (quiesced_ != 0 && exited_locked()) return true;  // nothing will move before it ends
    }
    stand_in();
    if (steady_ns() - since >= limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

bool Engine::close(u64 drain_ns) {
  {
    std::lock_guard lock(launch_mutex_);
    if (terminated_) return ended_;
  }
  refuse();
  wait_drained(drain_ns);
  if (view_.control) HostWords::store_release_sys(view_.control->stop.value, 1);
  bool ended = wait_exited(failed_ ? 0 : 100'000'000);
  ended = works_ended(failed_ ? 0 : 100'000'000) && ended;
  {
    std::lock_guard lock(launch_mutex_);
    terminated_ = true;
    stop_keeper_ = true;
  }
  keeper_wake_.notify_all();
  // It may be inside the driver, behind what never ends.
  const bool keeper_ended = this->keeper_ended(2'000'000'000);
  ended = keeper_ended && ended;
  for (auto& ring : rings_) ring->close(Status::kRingClosed);
  abandon_works(Status::kRingClosed, keeper_ended);
  if (driver_) ended = driver_->shutdown(ended ? 2'000'000'000 : 0) && ended;
  if (!ended) {  // a worker never came back: what it may touch stays mapped for ever
    retain();
    for (Mapping* memory : {&ring_memory_, &tables_, &staging_, &worker_memory_}) {
      memory->abandon();
    }
    pool->abandon();
  }
  ended_ = ended;
  return ended;
}

EngineState Engine::state() const {
  std::lock_guard lock(launch_mutex_);
  if (failed_) return EngineState::kFailed;
  if (terminated_) return EngineState::kTerminated;
  if (draining_) return EngineState::kDraining;
  if (!started_ || launched_ == 0) return EngineState::kCreated;
  if (exited_locked()) return EngineState::kParked;
  const u64 begun = HostWords::load_acquire_sys(view_.control->started_epoch.value);
  return begun >= launched_ ? EngineState::kRunning : EngineState::kStarting;
}

u64 Engine::answered() const {
  u64 sum = 0;
  for (u32 r = 0; r < options_.max_rings; ++r) sum += answered_[r].load(std::memory_order_relaxed);
  return sum;
}

Snapshot Engine::snapshot() {
  Snapshot result;
  result.pool = pool->counts();
  for (auto& ring : rings_) ring->add_to(result);
  {
    std::lock_guard guard(unseen_mutex_);
    result.unseen = unseen_count_;
  }
  result.allocations = allocations.load(std::memory_order_relaxed);
  result.allocated_bytes = allocated_bytes.load(std::memory_order_relaxed);
  result.now_ns = steady_ns();
  result.uptime_ns = result.now_ns - born_ns_;
  result.state = state();
  {
    std::lock_guard lock(grains_mutex_);
    result.grains = grains_.size();
  }
  std::lock_guard lock(launch_mutex_);
  result.launches = launched_;
  result.parks = parks_;
  return result;
}

}  // namespace gpures
