#include "host/engine.hpp"

#include <pthread.h>

#include "host/host_driver.hpp"
#include "host/kernel_registry.hpp"
#include "shared/wake.hpp"

namespace gpures {

namespace {

std::atomic<u32> process_number{1};

// A forked child has the memory but not the threads: every engine it inherited is closed to it.
const int fork_hook = pthread_atfork(nullptr, nullptr, [] { process_number.fetch_add(1); });

template <class T>
T* carve(u8*& at, u64 count) {
  T* result = reinterpret_cast<T*>(at);
  at += (count * sizeof(T) + 4095) / 4096 * 4096;
  return result;
}

}  // namespace

u32 Engine::current_process() {
  (void)fork_hook;
  return process_number.load(std::memory_order_relaxed);
}

Engine::Engine(const EngineOptions& options)
    : options_(options), process_(current_process()), born_ns_(steady_ns()) {
  allocate_memory();
}

// Address space only: pages are committed when messages touch them.
void Engine::allocate_memory() {
  const u64 slots = options_.slots;
  const u64 ring_bytes = (slots * sizeof(Slot) + 4096) + slots * kPageBytes +
                         (slots * sizeof(CompletionEntry) + 4096) + sizeof(RingControl) + 8192;
  ring_memory_ = Mapping(ring_bytes * options_.max_rings + sizeof(EngineControl) + 4096);
  worker_memory_ = Mapping(kHandleCapacity * sizeof(HandleEntry) + kBlockCapacity * sizeof(u64) +
                           (options_.max_rings + 2) * 4096);
  tables_ = Mapping(kBlockCapacity * sizeof(BlockEntry));
  staging_ = Mapping(kStagingChunks * kStagingChunkBytes);
  generation_memory_ = Mapping(kHandleCapacity * sizeof(u64));
  generations_ = generation_memory_.as<u64>();

  const TickScale& scale = TickScale::get();
  u8* shared = ring_memory_.base();
  u8* worker = worker_memory_.base();
  view_.control = carve<EngineControl>(shared, 1);
  view_.shared = carve<WorkerShared>(worker, 1);
  view_.states = carve<RingState>(worker, options_.max_rings);
  view_.handles = carve<HandleEntry>(worker, kHandleCapacity);
  view_.holders = carve<u64>(worker, kBlockCapacity);
  view_.blocks = tables_.as<BlockEntry>();
  view_.kernels = KernelRegistry::get().table();
  view_.staging = staging_.base();
  view_.handle_capacity = kHandleCapacity;
  view_.block_capacity = kBlockCapacity;
  view_.kernel_capacity = KernelRegistry::kCapacity;
  view_.staging_chunks = kStagingChunks;
  view_.linger_ticks = scale.from_ns(options_.linger_ns);
  view_.lease_ticks = scale.from_ns(options_.lease_ns);
  view_.publish_ticks = scale.from_ns(5'000);

  answered_ = std::make_unique<std::atomic<u64>[]>(options_.max_rings);
  for (u32 r = 0; r < options_.max_rings; ++r) {
    RingView ring{};
    ring.slots = carve<Slot>(shared, slots);
    ring.pages = carve<u8>(shared, slots * kPageBytes);
    ring.completions = carve<CompletionEntry>(shared, slots);
    ring.control = carve<RingControl>(shared, 1);
    ring.state = view_.states + r;
    ring.slot_count = slots;
    ring.index = r;
    rings_.push_back(std::make_unique<RingHost>(*this, ring, answered_[r]));
  }
  pool = std::make_unique<Pool>(options_.pool_limit_bytes, view_.blocks, kBlockCapacity,
                                answered_.get());
}

void Engine::release() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!forked()) delete this;
}

Engine::~Engine() { close(0); }

void Engine::start() {
  std::lock_guard lock(launch_mutex_);
  if (started_ || terminated_) return;
  started_ = true;
  std::vector<RingView> views;
  for (auto& ring : rings_) views.push_back(ring->view);
  driver_ = std::make_unique<HostDriver>(
      std::move(views), options_.spin_ns,
      [this](u32 ring, bool waits, bool last) { on_left(ring, waits, last); });
  keeper_ = std::thread([this] { keep(); });
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
  if (id >= kHandleCapacity) throw std::bad_alloc();
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
  launched_ns_ = steady_ns();
  launch_rings_ = rings_in_use_;
  expected_out_ += launch_rings_;
  EngineView view = view_;
  view.rings = launch_rings_;
  driver_->launch(view, launched_, expected_out_);
}

void Engine::kick(u32 ring, WakeState) {
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
  if (wanted_ && work_left() && quiesced_ == 0 && !terminated_ && !failed_ && exited_locked()) {
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
    if (!started_ || exited_locked()) return true;
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
      if (!started_ || exited_locked()) return true;
      // A worker may have announced sleep after the last rouse.
      rouse_all();
    }
    if (failed_ || steady_ns() - since > limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void Engine::begin_quiesced() {
  std::lock_guard lock(launch_mutex_);
  ++quiesced_;
}

void Engine::end_quiesced() {
  std::lock_guard lock(launch_mutex_);
  if (--quiesced_ == 0 && started_ && !terminated_ && !failed_ && work_left() && exited_locked()) {
    launch_locked();
  }
}

// The keeper: pending implies something will move [R13] -----------------------------------------

bool Engine::work_left() const {
  return std::any_of(rings_.begin(), rings_.end(),
                     [](const auto& ring) { return ring->pending() != 0; });
}

void Engine::keep() {
  constexpr auto kTick = std::chrono::milliseconds(1);
  constexpr u64 kAwakeFor = 50'000'000;  // bursts do not pay a wake-up each
  u64 busy_until = steady_ns() + kAwakeFor;
  std::unique_lock lock(launch_mutex_);
  while (!stop_keeper_) {
    const bool work = work_left();
    const u64 now = steady_ns();
    if (work || !exited_locked()) busy_until = now + kAwakeFor;
    if (now >= busy_until) {
      keeper_asleep_ = true;
      keeper_wake_.wait(lock, [&] { return stop_keeper_ || work_left() || !exited_locked(); });
      keeper_asleep_ = false;
      stall_since_ = 0;  // the clock starts again: nobody looked meanwhile
    } else {
      keeper_wake_.wait_for(lock, kTick);
    }
    if (stop_keeper_) return;
    // A program reads no clock between its steps. [R12]
    if (!exited_locked() && steady_ns() - launched_ns_ > options_.lease_ns) {
      driver_->end_lease(view_, launched_);
    }
    lock.unlock();
    for (auto& ring : rings_) {
      if (ring->pending() != 0) ring->poll();
    }
    check_stall(steady_ns());
    lock.lock();
    // After the poll: what was answered needs no launch.
    if (work_left() && !failed_ && !terminated_ && quiesced_ == 0 && exited_locked()) {
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
  std::unique_lock lock(launch_mutex_);
  // A launch that has not begun (a busy device) is no stall: the state says STARTING.
  const u64 begun = HostWords::load_acquire_sys(view_.control->started_epoch.value);
  if (waiting == 0 || exited_locked() || begun < launched_ || signature != stall_signature_ ||
      stall_since_ == 0) {
    stall_signature_ = signature;
    stall_since_ = now;
    return;
  }
  if (now - stall_since_ < options_.stall_ns) return;
  lock.unlock();
  fail(Status::kRingStalled);
}

void Engine::fail(Status cause) {
  failed_ = true;
  for (auto& ring : rings_) ring->close(cause);
}

// Waiting and closing --------------------------------------------------------------------------

bool Engine::wait(const Request& request, u64 limit_ns) {
  if (request.answered()) return true;
  RingHost& ring = request.grain->ring;
  constexpr int kLooks = 64;  // between two readings of the clock, which cost 10 ns each
  const u64 since = ticks();
  const u64 limit = limit_ns < (u64{1} << 50) ? TickScale::get().from_ns(limit_ns) : ~u64{0};
  const u64 spin = std::min(ring.spin.ticks(), limit);
  do {
    for (int look = 0; look < kLooks; ++look) {
      if (ring.has_news(request)) ring.poll();
      if (request.answered()) return true;
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
    u64 left = 0;
    for (auto& ring : rings_) {
      ring->poll();
      left += ring->in_slots();
    }
    if (left == 0 || failed_) return true;
    {
      std::lock_guard lock(launch_mutex_);
      if (quiesced_ != 0 && exited_locked()) return true;  // nothing will move before it ends
    }
    if (steady_ns() - since >= limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

bool Engine::close(u64 drain_ns) {
  {
    std::lock_guard lock(launch_mutex_);
    if (terminated_) return true;
  }
  refuse();
  wait_drained(drain_ns);
  HostWords::store_release_sys(view_.control->stop.value, 1);
  bool ended = wait_exited(failed_ ? 0 : 100'000'000);
  {
    std::lock_guard lock(launch_mutex_);
    terminated_ = true;
    stop_keeper_ = true;
  }
  keeper_wake_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  for (auto& ring : rings_) ring->close(Status::kRingClosed);
  if (driver_) ended = driver_->shutdown(ended ? 2'000'000'000 : 0) && ended;
  if (!ended) {  // a worker never came back: what it may touch stays mapped for ever
    retain();
    for (Mapping* memory : {&ring_memory_, &tables_, &staging_, &worker_memory_}) {
      memory->abandon();
    }
    pool->abandon();
  }
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

u64 Engine::current_request(u32 ring) const {
  const RingView& view = rings_[ring]->view;
  const u64 current = HostWords::load_relaxed_sys(view.control->current.value);
  if (current == 0) return 0;
  return view.slots[(current - 1) & (view.slot_count - 1)].request;
}

Snapshot Engine::snapshot() {
  Snapshot result;
  result.pool = pool->counts();
  for (auto& ring : rings_) ring->add_to(result);
  result.unseen = unseen_count_.load(std::memory_order_relaxed);
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
