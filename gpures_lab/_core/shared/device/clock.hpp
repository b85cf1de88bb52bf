// A block's clock, of its leader: nanoseconds of %globaltimer, told between two readings of it by
// the cycles that have passed, for it may tick a thousand times more coarsely than they do.
//
// The cycles are measured against it in the same launch, for a multiprocessor's speed changes;
// until 200 us have passed it is the only clock. Spans above 100 us are always its own. A block
// that was preempted may find its cycles set back, or far ahead: then the fit begins anew.
#pragma once

#include "../base.hpp"

namespace gpures {

template <class Source>  // static u64 ns(), static u64 cycles()
struct BlockClock {
  static constexpr u64 kFitNs = 200'000;
  static constexpr u64 kTrustNs = 100'000;

  u64 first_ns, first_cycles;    // of the launch
  u64 anchor_ns, anchor_cycles;  // the newest reading of both
  u64 scale;                     // ns per cycle, 32 fractional bits; 0: not known yet
  u64 last;                      // no reading goes back

  GPURES_HD void start() {
    first_ns = anchor_ns = last = Source::ns();
    first_cycles = anchor_cycles = Source::cycles();
    scale = 0;
  }
  GPURES_HD u64 now() {
    const u64 cycles = Source::cycles() - anchor_cycles;
    // A set-back counter is a huge difference; the product of less than 2^31 cannot overflow.
    const u64 passed = cycles >> 31 ? ~u64{0} : cycles * scale >> 32;
    const u64 found = scale == 0 || passed > kTrustNs ? read() : anchor_ns + passed;
    if (found > last) last = found;
    return last;
  }

 private:
  GPURES_HD u64 read() {
    anchor_ns = Source::ns();
    anchor_cycles = Source::cycles();
    const u64 ns = anchor_ns - first_ns, cycles = anchor_cycles - first_cycles;
    // Below 2^32 ns, so that the shift cannot overflow: a launch that lasts longer keeps its scale.
    if (ns >= kFitNs && ns >> 32 == 0 && cycles >> 40 == 0 && cycles != 0) {
      const u64 fitted = (ns << 32) / cycles;
      const bool jumped = scale != 0 && (fitted > 2 * scale || scale > 2 * fitted);
      scale = jumped ? 0 : fitted;
      if (jumped) {  // no multiprocessor changes its speed so much: it is another one's counter
        first_ns = anchor_ns;
        first_cycles = anchor_cycles;
      }
    }
    return anchor_ns;
  }
};

// How often a program looks up between its steps: after so many of them, and after so long a one
// that the launch's lease may be over. The low half of the cycles is enough, and one instruction.
struct Glances {
  static constexpr u32 kSteps = 64, kCycles = 1 << 17;  // some 80 us

  u32 last;

  GPURES_HD void start(u32 cycles) { last = cycles; }
  GPURES_HD bool due(u64 step, u32 cycles) {
    if (step % kSteps != 0 && cycles - last < kCycles) return false;
    last = cycles;
    return true;
  }
};

}  // namespace gpures
