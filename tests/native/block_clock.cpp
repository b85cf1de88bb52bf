// The clock of a block of threads, over timers that a test turns: coarse ticks, a multiprocessor
// that changes its speed, a counter that is set back by a preemption.
#include "shared/device/clock.hpp"

#include <initializer_list>

#include "check.hpp"

using namespace gpures;

namespace {

struct Timers {
  static inline double time_ns = 0, cycle_count = 0, ghz = 1.5;
  static inline u64 tick_ns = 1024;  // as %globaltimer has it on some devices
  static void pass(double span_ns) {
    time_ns += span_ns;
    cycle_count += span_ns * ghz;
  }
  static void reset(double speed) {
    time_ns = 5'000'000;
    cycle_count = 1e9;
    ghz = speed;
  }
  static u64 ns() { return u64(time_ns) / tick_ns * tick_ns; }
  static u64 cycles() { return u64(cycle_count); }
};
using Clock = BlockClock<Timers>;

// 100 ns is a tenth of a tick.
void short_spans_are_told_between_ticks() {
  for (const double ghz : {0.6, 1.5, 2.9}) {
    Timers::reset(ghz);
    Clock clock;
    clock.start();
    for (int n = 0; n < 60; ++n) {  // 6 ms of idle rounds
      Timers::pass(100'500);
      clock.now();
    }
    int off = 0;
    for (int n = 0; n < 1000; ++n) {
      const u64 since = clock.now();
      Timers::pass(100);
      const u64 span = clock.now() - since;
      CHECK(span <= 105 + Timers::tick_ns);
      off += span < 95 || span > 105;
    }
    CHECK(off <= 2);  // those across a new reading, one each 100 us, are off by up to a tick
  }
}

void before_the_fit_only_ticks_count() {
  Timers::reset(2.0);
  Clock clock;
  clock.start();
  Timers::pass(100'000);
  CHECK_EQUAL(clock.now() % Timers::tick_ns, 0u);
}

void long_spans_are_the_timers_own() {
  Timers::reset(1.0);
  Clock clock;
  clock.start();
  Timers::pass(1'000'000);
  clock.now();
  const u64 since = clock.now();
  Timers::ghz = 2.0;  // half of the ratio that was measured
  Timers::pass(3'000'000);
  const u64 span = clock.now() - since;
  CHECK(span >= 3'000'000 - 2 * Timers::tick_ns && span <= 3'000'000 + 2 * Timers::tick_ns);
}

// Another multiprocessor's counter may be anywhere; no reading goes back, and none runs away.
void a_preempted_block_asks_the_timer() {
  for (const double shift : {-9e8, 1e9, 5e12}) {
    Timers::reset(1.5);
    Clock clock;
    clock.start();
    Timers::pass(1'000'000);
    clock.now();
    u64 before = clock.now();
    Timers::pass(50'000);
    Timers::cycle_count += shift;
    for (int n = 0; n < 100; ++n) {
      const u64 now = clock.now();
      CHECK(now >= before);
      CHECK(now <= Timers::ns() + Timers::tick_ns);
      before = now;
      Timers::pass(10'000);
    }
    for (int n = 0; n < 60; ++n) {
      Timers::pass(100'500);
      clock.now();
    }
    const u64 since = clock.now();
    Timers::pass(1'000);
    const u64 span = clock.now() - since;
    CHECK(span >= 950 && span <= 1'050);
  }
}

// A program of slow steps must not stay for sixty-four of them, and one of quick steps looks
// seldom.
void a_long_step_is_looked_up_after() {
  Glances glances;
  glances.start(0xffffff00u);  // the cycles' low half wraps in between
  u32 cycles = 0xffffff00u;
  int looks = 0;
  for (u64 step = 1; step <= 640; ++step) looks += glances.due(step, cycles += 1'500);
  CHECK(looks >= 10 && looks <= 20);
  for (u64 step = 1; step <= 10; ++step) CHECK(glances.due(step, cycles += 30'000'000));
}

}  // namespace

int main() {
  a_long_step_is_looked_up_after();
  short_spans_are_told_between_ticks();
  before_the_fit_only_ticks_count();
  long_spans_are_the_timers_own();
  a_preempted_block_asks_the_timer();
  return check::result();
}
