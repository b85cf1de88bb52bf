// The shipped worker threads with a lease of a few microseconds: two rings leave and are launched
// again thousands of times under two posters, without a keeper, and every message is answered once
// by a worker of the only launch there is.  [R8][R9][R12][R13]
#include <algorithm>
#include <memory>

#include "host/clock.hpp"
#include "host/host_driver.hpp"
#include "litmus/support.hpp"
#include "shared/wake.hpp"

using namespace litmus;

namespace {

constexpr u64 kSlots = 4;
constexpr u32 kRings = 2;
constexpr u64 kMessages = 100'000 / kShare;

// The engine's launch rule (host/engine.cpp) and nothing else of it.
class Launcher {
 public:
  Launcher() {
    for (u32 r = 0; r < kRings; ++r) rings.push_back(std::make_unique<RingMemory>(kSlots, r));
    std::vector<RingView> views;
    for (u32 r = 0; r < kRings; ++r) {
      rings[r]->view.state = &states_[r];
      views.push_back(rings[r]->view);
    }
    view_.control = &control_;
    view_.shared = &shared_;
    view_.states = states_;
    view_.linger_ticks = TickScale::get().from_ns(5'000);
    view_.lease_ticks = TickScale::get().from_ns(20'000);
    view_.publish_ticks = TickScale::get().from_ns(5'000);
    view_.rings = kRings;
    driver_ = std::make_unique<HostDriver>(std::move(views), TickScale::get().from_ns(1'000),
                                           [this](u32 ring, bool waits, bool last) {
                                             if (waits) kick(ring);
                                             if (last) settle();
                                           });
  }

  // Not exited yet: the last worker out must hear of it, so the next kick is tried again.
  void kick(u32 ring) {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (launched == 0 || has_exited<HostWords>(control_, launched)) {
      launch();
    } else {
      wanted_ = true;
      driver_->wake(ring);
    }
  }

  // The last worker out makes good for a kick that met the exit.
  void settle() {
    std::lock_guard lock(mutex_);
    if (wanted_ && !stopping_ && has_exited<HostWords>(control_, launched)) launch();
  }

  void stop() {
    {  // as the engine: no launch once it is terminated, or half the workers would miss it
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    HostWords::store_release_sys(control_.stop.value, 1);
    for (auto& ring : rings) {
      if (rouse<HostWords>(*ring->view.control)) driver_->wake(ring->view.index);
    }
    CHECK(driver_->shutdown(60'000'000'000));
    CHECK(has_exited<HostWords>(control_, launched));
    CHECK_EQUAL(control_.exited_epoch.value, launched);
    CHECK_EQUAL(shared_.left.value, expected_);
  }

  std::vector<std::unique_ptr<RingMemory>> rings;
  u64 launched = 0;

 private:
  void launch() {
    CHECK_EQUAL(HostWords::load_acquire_sys(control_.exited_epoch.value), launched);
    wanted_ = false;
    expected_ += kRings;
    driver_->launch(view_, ++launched, expected_);
  }

  EngineControl control_{};
  WorkerShared shared_{};
  RingState states_[kRings] = {};
  EngineView view_{};
  std::mutex mutex_;
  bool wanted_ = false;
  bool stopping_ = false;
  u64 expected_ = 0;
  std::unique_ptr<HostDriver> driver_;
};

void post(Launcher& launcher, u32 r, std::atomic<u64>& reached) {
  RingMemory& ring = *launcher.rings[r];
  const auto wait_for = [&](u64 position) {
    const CompletionEntry& entry = ring.completion(position);
    while (!is_published<HostWords>(entry, position)) {
      launcher.settle();
      std::this_thread::yield();
    }
    CompletionEntry answer;
    copy_completion<HostWords>(answer, entry);
    CHECK_EQUAL(answer.status, u16(Status::kOk));
  };
  for (u64 position = 0; position < kMessages && check::failures == 0; ++position) {
    if (position >= kSlots) wait_for(position - kSlots);
    Slot message{};
    message.opcode = u16(Opcode::kNoop);
    commit<HostWords>(ring.slot(position), message, position);
    if (after_commit<HostWords>(*ring.view.control) != kAwake) launcher.kick(r);
    if (position % 16 == r) wait_for(position);  // so that launches end idle, too
    reached.fetch_add(1, std::memory_order_relaxed);
  }
  for (u64 position = kMessages - std::min(kSlots, kMessages); position < kMessages; ++position) {
    wait_for(position);
  }
}

}  // namespace

int main() {
  Watchdog watchdog("litmus_relaunch");
  Launcher launcher;
  std::thread other([&] { post(launcher, 1, watchdog.reached); });
  post(launcher, 0, watchdog.reached);
  other.join();
  launcher.stop();
  CHECK(launcher.launched > 1);
  std::printf("%llu launches\n", static_cast<unsigned long long>(launcher.launched));
  for (u32 r = 0; r < kRings; ++r) {
    CHECK_EQUAL(launcher.rings[r]->view.control->done.value, kMessages);
    CHECK_EQUAL(launcher.rings[r]->view.state->head, kMessages);
  }
  return check::result();
}
