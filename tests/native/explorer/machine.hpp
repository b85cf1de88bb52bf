// The explorer's machine: threads that run one access at a time, each behind a store buffer.
//
// A thread pauses before every load and read-modify-write; a store goes into its buffer and is seen
// by others only when the scheduler drains it. A release drains after everything before it; plain
// and relaxed stores drain in any order, but not past a fence, and never past a store to the same
// word. FIFO draining (x86) is one of these orders, so one mode covers both. A read-modify-write
// waits for its own buffer to be empty.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "explorer/fiber.hpp"
#include "shared/base.hpp"

namespace explore {

using gpures::u16;
using gpures::u32;
using gpures::u64;
using gpures::u8;

enum class Kind : u8 { kPlain, kRelease, kFence };

struct Store {
  u64* word;
  u64 value;
  Kind kind;
};

inline constexpr u32 kThreads = 8;
inline constexpr u32 kStores = 40;

struct Thread {
  void* sp;
  void (*body)(u32);
  u32 argument;
  bool done;
  bool needs_empty;  // the next access waits for the buffer
  bool changed;      // somebody else changed a signal since look_again()
  bool (*ready)(const void*);
  const void* condition;
  u32 stores;
  Store store[kStores];
};

// One scheduler step: run a thread to its next pause, or drain one of its stores.
struct Choice {
  u8 thread;
  u8 drain;  // 0: run; n: drain store n - 1
};

class Machine {
 public:
  // Thread state, plain bytes: the search copies it.
  struct State {
    Thread threads[kThreads];
    u32 count;
    u32 running;
  };

  State state;
  const char* names[kThreads];
  char violation[200];
  bool tracing = false;
  std::vector<std::string> trace;
  void (*name_word)(const u64*, char*, std::size_t) = nullptr;
  bool (*is_signal)(const u64*) = nullptr;  // words that pollers poll

  void reset();
  void spawn(const char* name, void (*body)(u32), u32 argument);

  // Called by threads ------------------------------------------------------------------------
  u64 load(const u64& word);
  u64 load_quietly(const u64& word) const;
  void store(u64& word, u64 value, Kind kind);
  void fence();
  // Waits for the own buffer, pauses, then the caller may change memory in one step.
  void begin_atomic();
  void set(u64& word, u64 value);  // inside a step after begin_atomic()
  template <class Condition>
  void block_until(const Condition& condition);
  // A poll that found nothing: until somebody changed a signal or the clock.
  void look_again();
  // A poll of one word that held `seen`.
  void wait_while(const u64& word, u64 seen);
  void tell_change();
  void fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void log(const char* format, ...) __attribute__((format(printf, 2, 3)));
  u32 running() const { return state.running; }

  // Called by the search ---------------------------------------------------------------------
  u32 choices(Choice* out) const;
  bool can_run(u32 thread) const;
  void apply(Choice choice);
  bool failed() const { return violation[0] != 0; }

  unsigned char* stack(u32 thread) { return stacks_[thread]; }

 private:
  void pause();
  void switch_to_thread(u32 thread);
  static void enter();
  bool drainable(const Thread& thread, u32 index) const;
  void drain(u32 thread, u32 index);
  std::string word_name(const u64* word) const;

  void* scheduler_ = nullptr;
  alignas(64) unsigned char stacks_[kThreads][kStackBytes];
};

inline Machine machine;

template <class Condition>
void Machine::block_until(const Condition& condition) {
  Thread& me = state.threads[state.running];
  me.condition = &condition;
  me.ready = [](const void* at) { return (*static_cast<const Condition*>(at))(); };
  pause();
  me.ready = nullptr;
  me.condition = nullptr;
}

}  // namespace explore
