// A scenario from a Setup, and the two things a test asks of it: holds(), or is_caught().
#pragma once

#include <cstddef>
#include <cstdlib>

#include "check.hpp"
#include "explorer/host.hpp"
#include "explorer/machine_run.hpp"
#include "explorer/search.hpp"

namespace explore {

inline bool long_form = false, whole_schedules = false;

inline bool is_service(void (*body)(u32)) {
  return body == worker_body || body == keeper_body || body == poller_body;
}

// Nothing can step any more. [R9][R13]
inline void finish() {
  const Host& host = world.host;
  for (u32 t = 0; t < machine.state.count; ++t) {
    const Thread& thread = machine.state.threads[t];
    if (!thread.done && !is_service(thread.body)) {
      machine.fail("nothing can move, and the %s waits", machine.names[t]);
      return;
    }
  }
  for (u32 r = 0; r < setup.rings; ++r) {
    if (host.executed[r] != host.posted[r] && host.stopped == 0) {
      machine.fail("ring %u position %llu is committed, and nothing can move", r, host.executed[r]);
      return;
    }
    for (u64 position = host.harvested[r]; position < host.executed[r]; ++position) {
      const CompletionEntry& entry = world.completions[r][position % setup.slots];
      if (entry.sequence != position + 1 || entry.taken != host.stamp[r][position]) {
        machine.fail("ring %u position %llu ran and was not answered", r, position);
        return;
      }
    }
  }
}

inline void zero_memory() {
  std::memset(static_cast<void*>(&world), 0, sizeof(world));
  for (u32 r = 0; r < kRings; ++r) {
    for (u32 s = 0; s < kMaxSlots; ++s) std::memset(pages[r][s], 0, kPageWordsUsed * 8);
    std::memset(static_cast<void*>(&blocks_memory[r]), 0, sizeof(Batch));
    std::memset(static_cast<void*>(&call_frames[r]), 0, sizeof(CallFrame));
    std::memset(static_cast<void*>(&fetched[r]), 0, sizeof(Fetched));
    world.ring_control[r].wake.value = kOut;
  }
  if (broken(Break::kDirtyMemory)) world.slots[0][1].sequence = 2;
  machine.name_word = name_word;
  machine.is_signal = is_signal;
  if (setup.launched) {
    world.host.launched = 1;
    world.host.launch_rings = setup.rings;
    world.host.expected = setup.rings;
  }
}

inline void spawn_hosts() {
  for (u32 r = 0; r < setup.rings; ++r) {
    if (setup.readers & (1u << r)) machine.spawn(r == 0 ? "reader" : "reader 1", reader_body, r);
  }
  if (broken(Break::kTwoPollers)) machine.spawn("second poller", worker_body, kRings);
  if (setup.keeper && !broken(Break::kNoKeeper)) machine.spawn("keeper", keeper_body, 0);
  if (setup.late_waiter) machine.spawn("late waiter", late_waiter_body, 0);
  if (setup.parker) machine.spawn("parker", parker_body, 0);
  if (setup.stopper) machine.spawn("stopper", stopper_body, 0);
  if (setup.linger_jumps + setup.lease_jumps != 0) machine.spawn("clock", clock_body, 0);
}

inline void spawn_others() {
  for (u32 r = 0; r < setup.rings; ++r) {
    machine.spawn(r == 0 ? "worker 0" : "worker 1", worker_body, r);
    if (setup.apart) machine.spawn(r == 0 ? "poller 0" : "poller 1", poller_body, r);
  }
  spawn_hosts();
}

inline void start() {
  zero_memory();
  for (u32 p = 0; p < setup.posters; ++p) machine.spawn("poster", poster_body, 0);
  if (setup.rings == 2) machine.spawn("poster 1", poster_body, 1);
  spawn_others();
}

inline Scenario scenario(void (*begin)() = start, void (*end)() = finish) {
  Scenario result{begin, end, {{&world, sizeof(world)}}};
  for (u32 r = 0; r < setup.rings; ++r) {
    for (u32 s = 0; s < setup.slots; ++s) {
      result.regions.push_back({pages[r][s], kPageWordsUsed * 8});
    }
  }
  for (BlockMemory& memory : blocks_memory) {
    result.regions.push_back(
        {&memory.batch, offsetof(Batch, messages) + setup.slots * sizeof(Slot)});
  }
  for (Fetched& shared : fetched) {
    if (!setup.apart) break;
    result.regions.push_back({&shared, offsetof(Fetched, messages)});
    for (Slot* messages : shared.messages) {
      result.regions.push_back({messages, setup.slots * sizeof(Slot)});
    }
  }
  for (CallFrame& frame : call_frames) {
    result.regions.push_back({frame.space, sizeof(frame.space) + sizeof(frame.fault) + 32});
  }
  return result;
}

// The end of it, or with --schedules and for a real violation all of it.
inline void print_schedule(const Scenario& scenario, const Found& found, bool whole) {
  Search search(scenario);
  search.replay(found.schedule);
  if (found.seed != 0) std::printf("    found by the walk of seed %llu\n", found.seed);
  const std::size_t lines = machine.trace.size();
  const std::size_t first = whole || lines < 24 ? 0 : lines - 24;
  if (first != 0) std::printf("    … %zu steps before\n", first);
  for (std::size_t n = first; n < lines; ++n) std::printf("    %s\n", machine.trace[n].c_str());
}

inline void report(const char* name, const Found& found, const char* outcome) {
  std::printf("%-66s %8llu states %9llu steps %6llu ends  %s", name, found.states, found.steps,
              found.ends, outcome);
  if (!found.violation.empty() || found.bound < 0) {
    std::printf("\n");
  } else if (found.bound == int(kAll)) {
    std::printf(": every schedule\n");
  } else {
    std::printf(": all with %d preemptions%s\n", found.bound,
                found.complete ? "" : ", part beyond");
  }
  std::fflush(stdout);
}

// No schedule breaks the law.
inline void holds(const char* name, const Setup& with, Limits limits = {}, void (*begin)() = start,
                  void (*end)() = finish) {
  setup = with;
  if (long_form) {
    limits.steps *= 50;
    limits.walks *= 50;
    limits.preemptions = limits.preemptions == kAll ? kAll : limits.preemptions + 2;
  }
  if (!kCanCopyStacks) limits.steps /= 8;  // the sanitizer looks at each access, not at schedules
  const Scenario run = scenario(begin, end);
  const Found found = Search(run).run(limits);
  report(name, found, found.violation.empty() ? "holds" : "VIOLATED");
  if (found.violation.empty()) return;
  std::printf("    %s\n", found.violation.c_str());
  print_schedule(run, found, true);
  CHECK(!"a law is broken: see the schedule above");
}

// The law broken on purpose shows, and the schedule that shows it can be replayed.
inline void is_caught(const char* name, Setup with, Break law, Limits limits = {},
                      void (*begin)() = start, void (*end)() = finish) {
  with.broken = law;
  setup = with;
  limits.steps *= 4;  // it ends with the first schedule that shows the break
  const Scenario run = scenario(begin, end);
  const Found found = Search(run).run(limits);
  report(name, found, found.violation.empty() ? "NOT CAUGHT" : "caught");
  if (!CHECK(!found.violation.empty())) return;
  std::printf("    %s\n", found.violation.c_str());
  print_schedule(run, found, whole_schedules);
  CHECK(machine.violation == found.violation);
}

inline void read_arguments(int count, char** arguments) {
#if defined(__SANITIZE_THREAD__)
  std::puts("one thread: nothing that ThreadSanitizer could see");
  std::exit(0);
#endif
  for (int n = 1; n < count; ++n) {
    if (std::string(arguments[n]) == "--long") long_form = true;
    if (std::string(arguments[n]) == "--schedules") whole_schedules = true;
  }
}

}  // namespace explore
