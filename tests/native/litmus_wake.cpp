// A poster and a worker that sleeps without a time limit whenever it finds nothing: one lost
// wake-up and the test never ends.  [R13]
#include "litmus/support.hpp"
#include "shared/wake.hpp"

using namespace litmus;

namespace {

constexpr u64 kSlots = 4;
constexpr u64 kPings = 300'000 / kShare;

struct Bed {
  std::mutex mutex;
  std::condition_variable woken;
};

void sleep_until_kicked(RingMemory& ring, Bed& bed) {
  std::unique_lock lock(bed.mutex);
  bed.woken.wait(
      lock, [&] { return HostWords::load_relaxed_sys(ring.view.control->wake.value) != kAsleep; });
}

void work(RingMemory& ring, Bed& bed, u64& sleeps) {
  for (u64 head = 0; head < kPings;) {
    if (is_ready<HostWords>(ring.slot(head), head)) {
      put_completion<HostWords>(ring.completion(head), CompletionEntry{});
      publish<HostWords>(ring.view, head, head + 1);
      ++head;
    } else if (announce_sleep<HostWords>(ring.view, head)) {
      ++sleeps;
      sleep_until_kicked(ring, bed);
    }
  }
}

}  // namespace

int main() {
  RingMemory ring(kSlots);
  Bed bed;
  u64 sleeps = 0, kicks = 0;
  Watchdog watchdog("litmus_wake");
  std::thread worker([&] { work(ring, bed, sleeps); });
  for (u64 position = 0; position < kPings; ++position) {
    if (position >= kSlots) {
      while (!is_published<HostWords>(ring.completion(position - kSlots), position - kSlots)) {
        std::this_thread::yield();
      }
    }
    commit<HostWords>(ring.slot(position), Slot{}, position);
    if (after_commit<HostWords>(*ring.view.control) == kAsleep) {
      ++kicks;
      {
        std::lock_guard lock(bed.mutex);
      }
      bed.woken.notify_one();
    }
    // Bursts of different lengths, so that the worker is met awake, asleep and in between.
    if (position % 7 < 3) {
      while (!is_published<HostWords>(ring.completion(position), position)) {
        std::this_thread::yield();
      }
    }
    watchdog.reached.store(position, std::memory_order_relaxed);
  }
  worker.join();
  CHECK(sleeps > 0);
  CHECK(kicks > 0);
  return check::result();
}
