// The host changes cancel entries while the worker copies them: the worker never holds the grain
// of one cancel with the position of another, and ends with the newest.
#include "litmus/support.hpp"
#include "shared/cancel.hpp"
#include "shared/leave.hpp"

using namespace litmus;

namespace {

constexpr u64 kCancels = 1'000'000 / kShare;

// Each cancel's position names its grain, so that a mixture shows.
constexpr u64 last_of(u64 grain) { return grain * 1000 + 7; }

}  // namespace

int main() {
  RingMemory ring(4);
  EngineControl control{};
  WorkerShared shared{};
  EngineView engine{};
  engine.control = &control;
  engine.shared = &shared;
  Watchdog watchdog("litmus_cancel");

  std::thread worker([&] {
    const RingState& state = *ring.view.state;
    u64 looks = 0;
    while (state.cancels_seen != kCancels) {
      mirror_host_words<HostWords>(engine, 1);
      refresh_cancels<HostWords>(engine, ring.view);
      for (const CancelEntry& entry : state.cancel) {
        if (entry.last != 0) CHECK_EQUAL(entry.last, last_of(entry.grain));
      }
      if (check::failures != 0) return;
      ++looks;
    }
    CHECK(looks > 1);
  });
  // A fast host would leave the worker one look at the end: it waits for a look now and then.
  for (u64 n = 0; n < kCancels && check::failures == 0; ++n) {
    write_cancel<HostWords>(*ring.view.control, n, n + 1, last_of(n + 1));
    HostWords::store_release_sys(control.cancels.value, n + 1);
    watchdog.reached.store(n, std::memory_order_relaxed);
    while (n % 64 == 0 && HostWords::load_acquire_sys(shared.cancels.value) != n + 1 &&
           check::failures == 0) {
      std::this_thread::yield();
    }
  }
  worker.join();
  for (u64 n = kCancels - kCancelEntries; n < kCancels; ++n) {
    CHECK_EQUAL(ring.view.state->cancel[n % kCancelEntries].grain, n + 1);
    CHECK_EQUAL(ring.view.state->cancel[n % kCancelEntries].last, last_of(n + 1));
  }
  return check::result();
}
