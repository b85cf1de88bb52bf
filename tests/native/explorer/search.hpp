// Depth-first search over schedules with a set of visited states, a bound on preemptions, random
// walks beyond the bound, and exact replay of any schedule.
#pragma once

#include <functional>
#include <random>

#include "explorer/machine.hpp"

namespace explore {

struct Region {
  void* at;
  std::size_t bytes;
};

struct Scenario {
  std::function<void()> start;   // zero memory, spawn threads
  std::function<void()> finish;  // nothing can step any more: machine.fail() unless all is well
  std::vector<Region> regions;   // everything a run changes beside the machine itself
};

inline constexpr u32 kAll = 255;

struct Limits {
  u32 preemptions = 2;    // switches away from a thread that could go on; kAll: every one
  u64 steps = 1'000'000;  // a search with one bound
  u32 depth = 20'000;     // steps of one schedule: beyond it nothing ends
  u32 walks = 3000;
  u64 seed = 1;
};

struct Found {
  bool complete = false;  // every schedule within the last bound was seen
  int bound = -1;         // most preemptions of which every schedule was seen
  u64 steps = 0, states = 0, ends = 0;
  std::string violation;
  std::vector<Choice> schedule;
  u64 seed = 0;  // of the walk that found it, 0 = the search did
};

class Visited {
 public:
  bool insert(u64 key) {
    key |= 1;
    if (used_ * 2 >= slots_.size()) grow();
    if (!place(slots_, key)) return false;
    ++used_;
    return true;
  }
  u64 size() const { return used_; }

 private:
  static bool place(std::vector<u64>& slots, u64 key) {
    for (u64 at = (key >> 1) * 0x9e3779b97f4a7c15u >> 20;; ++at) {
      u64& slot = slots[at & (slots.size() - 1)];
      if (slot == key) return false;
      if (slot == 0) {
        slot = key;
        return true;
      }
    }
  }
  void grow() {
    std::vector<u64> bigger(slots_.size() * 2);
    for (u64 key : slots_) {
      if (key != 0) place(bigger, key);
    }
    slots_.swap(bigger);
  }
  std::vector<u64> slots_ = std::vector<u64>(1u << 16);
  u64 used_ = 0;
};

class Search {
 public:
  explicit Search(const Scenario& scenario) : scenario_(scenario) {}

  // Bounds 0, 1, … so that the first schedule found has the fewest preemptions; then walks.
  Found run(const Limits& limits);
  void replay(const std::vector<Choice>& schedule);

 private:
  struct Frame {
    std::vector<u8> copy;  // memory before the choice
    Choice choices[kThreads * (kStores + 1)];
    u32 count, next;
    std::size_t depth;
    u8 last, budget;
  };

  void search(const Limits& limits, u32 bound, Found& found);
  void walk(const Limits& limits, u64 seed, Found& found);
  void start();
  u64 fingerprint(u8 last, u8 budget) const;
  void save(std::vector<u8>& copy) const;
  void load(const Frame& frame);
  u32 allowed(Choice* out, u8 last, u8 budget) const;
  void step(Choice choice, u8& last, u8& budget);
  bool over(Found& found, const Limits& limits);

  const Scenario& scenario_;
  std::vector<Choice> path_;
};

inline void Search::start() {
  machine.reset();
  scenario_.start();
  path_.clear();
}

__extension__ using Wide = unsigned __int128;

inline u64 mix(u64 hash, u64 word) {
  const Wide product = static_cast<Wide>(hash ^ word) * 0x9fb21c651e98df25u;
  return static_cast<u64>(product) ^ static_cast<u64>(product >> 64) ^ 0x2545f4914f6cdd1du;
}

// Stacks are read as bytes, red zones and all.
__attribute__((no_sanitize("address"))) inline u64 mix_bytes(u64 hash, const void* at,
                                                             std::size_t bytes) {
  const u64* word = static_cast<const u64*>(at);
  for (std::size_t n = 0; n < bytes / 8; ++n) hash = mix(hash, word[n] + n);
  return hash;
}

inline u64 Search::fingerprint(u8 last, u8 budget) const {
  u64 hash = budget == kAll ? 1 : mix(last + 2u, budget);
  for (u32 t = 0; t < machine.state.count; ++t) {
    const Thread& thread = machine.state.threads[t];
    hash = mix(hash, u64(thread.done) | u64(thread.needs_empty) << 1 | u64(thread.changed) << 2 |
                         u64(thread.stores) << 8);
    hash = mix(hash, reinterpret_cast<u64>(thread.ready));
    for (u32 s = 0; s < thread.stores; ++s) {
      hash = mix(hash, reinterpret_cast<u64>(thread.store[s].word) + u64(thread.store[s].kind));
      hash = mix(hash, thread.store[s].value);
    }
    if (!thread.done) {
      auto* sp = static_cast<unsigned char*>(thread.sp);
      hash = mix_bytes(mix(hash, u64(sp - machine.stack(t))), sp,
                       std::size_t(machine.stack(t) + kStackBytes - sp));
    }
  }
  for (const Region& region : scenario_.regions) hash = mix_bytes(hash, region.at, region.bytes);
  return hash;
}

inline void Search::save(std::vector<u8>& copy) const {
  std::size_t bytes = sizeof(machine.state);
  for (u32 t = 0; t < machine.state.count; ++t) {
    bytes += std::size_t(machine.stack(t) + kStackBytes -
                         static_cast<unsigned char*>(machine.state.threads[t].sp));
  }
  for (const Region& region : scenario_.regions) bytes += region.bytes;
  copy.resize(bytes);
  u8* to = copy.data();
  const auto put = [&to](const void* from, std::size_t count) {
    std::memcpy(to, from, count);
    to += count;
  };
  put(&machine.state, sizeof(machine.state));
  for (u32 t = 0; t < machine.state.count; ++t) {
    auto* sp = static_cast<unsigned char*>(machine.state.threads[t].sp);
    put(sp, std::size_t(machine.stack(t) + kStackBytes - sp));
  }
  for (const Region& region : scenario_.regions) put(region.at, region.bytes);
}

inline void Search::load(const Frame& frame) {
  if (!kCanCopyStacks) {
    const std::vector<Choice> path(path_.begin(), path_.begin() + long(frame.depth));
    start();
    for (Choice choice : path) machine.apply(choice);
    path_ = path;
    return;
  }
  const u8* from = frame.copy.data();
  const auto get = [&from](void* to, std::size_t count) {
    std::memcpy(to, from, count);
    from += count;
  };
  get(&machine.state, sizeof(machine.state));
  for (u32 t = 0; t < machine.state.count; ++t) {
    auto* sp = static_cast<unsigned char*>(machine.state.threads[t].sp);
    get(sp, std::size_t(machine.stack(t) + kStackBytes - sp));
  }
  for (const Region& region : scenario_.regions) get(region.at, region.bytes);
  path_.resize(frame.depth);
}

inline u32 Search::allowed(Choice* out, u8 last, u8 budget) const {
  const u32 count = machine.choices(out);
  if (budget != 0 || !machine.can_run(last)) return count;
  u32 kept = 0;
  for (u32 n = 0; n < count; ++n) {
    if (out[n].drain != 0 || out[n].thread == last) out[kept++] = out[n];
  }
  return kept;
}

inline void Search::step(Choice choice, u8& last, u8& budget) {
  if (choice.drain == 0) {
    if (budget != kAll && choice.thread != last && machine.can_run(last)) --budget;
    last = choice.thread;
  }
  path_.push_back(choice);
  machine.apply(choice);
}

inline bool Search::over(Found& found, const Limits& limits) {
  if (!machine.failed() && path_.size() > limits.depth) {
    machine.fail("a schedule does not end within %u steps", limits.depth);
  }
  if (!machine.failed()) return false;
  found.violation = machine.violation;
  found.schedule = path_;
  return true;
}

inline void Search::search(const Limits& limits, u32 bound, Found& found) {
  Visited visited;
  std::vector<Frame> frames;
  std::size_t open = 0;  // frames in use; the rest keep their memory
  u8 last = 0, budget = u8(bound);
  const u64 first_step = found.steps;
  start();
  for (;;) {
    Choice choices[kThreads * (kStores + 1)];
    const u32 count = allowed(choices, last, budget);
    bool back = false;
    if (count == 0) {
      ++found.ends;
      scenario_.finish();
      if (over(found, limits)) return;
      back = true;
    } else if (count > 1) {
      if (visited.insert(fingerprint(last, budget))) {
        if (open == frames.size()) frames.emplace_back();
        Frame& frame = frames[open++];
        if (kCanCopyStacks) save(frame.copy);
        std::memcpy(frame.choices, choices, count * sizeof(Choice));
        frame.count = count;
        frame.next = 0;
        frame.depth = path_.size();
        frame.last = last;
        frame.budget = budget;
      } else {
        back = true;
      }
    }
    Choice choice = choices[0];
    if (back || count > 1) {
      while (open != 0 && frames[open - 1].next == frames[open - 1].count) --open;
      if (open == 0) break;
      Frame& frame = frames[open - 1];
      if (back) load(frame);
      last = frame.last;
      budget = frame.budget;
      choice = frame.choices[frame.next++];
    }
    step(choice, last, budget);
    if (over(found, limits)) return;
    if (++found.steps - first_step > limits.steps) {
      found.states += visited.size();
      return;
    }
  }
  found.states += visited.size();
  found.complete = true;
}

inline void Search::walk(const Limits& limits, u64 seed, Found& found) {
  std::mt19937_64 random(seed);
  start();
  u8 last = 0, budget = kAll;
  for (;;) {
    Choice choices[kThreads * (kStores + 1)];
    const u32 count = machine.choices(choices);
    if (count == 0) {
      ++found.ends;
      scenario_.finish();
      over(found, limits);
      return;
    }
    // Mostly go on with the same thread: uniform walks never let one run far ahead.
    const u64 roll = random();
    step(choices[roll % 4 == 0 ? 0 : (roll >> 8) % count], last, budget);
    ++found.steps;
    if (over(found, limits)) return;
  }
}

inline Found Search::run(const Limits& limits) {
  Found found;
  for (u32 bound = limits.preemptions == kAll ? kAll : 0; bound <= limits.preemptions; ++bound) {
    found.complete = false;
    search(limits, bound, found);
    if (!found.violation.empty()) return found;
    if (!found.complete) break;
    found.bound = int(bound);
  }
  for (u32 n = 0; n < limits.walks; ++n) {
    walk(limits, limits.seed + n, found);
    if (found.violation.empty()) continue;
    found.seed = limits.seed + n;
    return found;
  }
  return found;
}

inline void Search::replay(const std::vector<Choice>& schedule) {
  machine.tracing = true;
  start();
  for (Choice choice : schedule) machine.apply(choice);
  if (!machine.failed()) scenario_.finish();
  machine.tracing = false;
}

}  // namespace explore
