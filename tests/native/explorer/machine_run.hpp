// The machine's steps. Included once an executable (by explorer/run.hpp).
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#endif

#include "explorer/machine.hpp"

EXPLORE_SWITCH;

namespace explore {

inline void Machine::reset() {
  std::memset(&state, 0, sizeof(state));
  violation[0] = 0;
  trace.clear();
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(stacks_, sizeof(stacks_));
#endif
}

inline void Machine::spawn(const char* name, void (*body)(u32), u32 argument) {
  Thread& thread = state.threads[state.count];
  names[state.count] = name;
  thread.body = body;
  thread.argument = argument;
  thread.sp = prepare_stack(stacks_[state.count], &Machine::enter);
  ++state.count;
}

inline void Machine::enter() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  Thread& me = machine.state.threads[machine.state.running];
  me.body(me.argument);
  me.done = true;
  for (;;) machine.pause();
}

inline void Machine::switch_to_thread(u32 thread) {
  state.running = thread;
#if defined(__SANITIZE_ADDRESS__)
  void* fake;
  __sanitizer_start_switch_fiber(&fake, stacks_[thread], kStackBytes);
#endif
  explore_switch(&scheduler_, state.threads[thread].sp);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
  // What dead frames left behind would make equal states look different.
  constexpr std::size_t kDead = 1024;
  std::memset(static_cast<unsigned char*>(state.threads[thread].sp) - kDead, 0, kDead);
#endif
}

inline void Machine::pause() {
#if defined(__SANITIZE_ADDRESS__)
  void* fake;
  // The scheduler runs on the process's own stack.
  static const void* bottom;
  static std::size_t size;
  if (bottom == nullptr) {
    pthread_attr_t attributes;
    void* at;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &at, &size);
    pthread_attr_destroy(&attributes);
    bottom = at;
  }
  __sanitizer_start_switch_fiber(&fake, bottom, size);
#endif
  explore_switch(&state.threads[state.running].sp, scheduler_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

inline std::string Machine::word_name(const u64* word) const {
  char text[64];
  name_word(word, text, sizeof(text));
  return text;
}

inline void Machine::log(const char* format, ...) {
  if (!tracing) return;
  char text[160];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  trace.push_back(std::string(names[state.running]) + ": " + text);
}

inline void Machine::fail(const char* format, ...) {
  if (!failed()) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(violation, sizeof(violation), format, arguments);
    va_end(arguments);
  }
}

inline u64 Machine::load_quietly(const u64& word) const {
  const Thread& me = state.threads[state.running];
  for (u32 n = me.stores; n-- > 0;) {
    if (me.store[n].word == &word) return me.store[n].value;
  }
  return word;
}

inline u64 Machine::load(const u64& word) {
  pause();
  const u64 value = load_quietly(word);
  if (tracing) log("load %s = %llu", word_name(&word).c_str(), value);
  return value;
}

inline void Machine::store(u64& word, u64 value, Kind kind) {
  Thread& me = state.threads[state.running];
  if (me.stores == kStores) {
    fail("%s has more than %u stores in its buffer", names[state.running], kStores);
    return;
  }
  me.store[me.stores++] = {&word, value, kind};
  if (tracing) {
    log("%s %s := %llu", kind == Kind::kRelease ? "release" : "store", word_name(&word).c_str(),
        value);
  }
}

inline void Machine::fence() {
  Thread& me = state.threads[state.running];
  if (me.stores == 0 || me.store[me.stores - 1].kind == Kind::kFence) return;
  store(*reinterpret_cast<u64*>(&me), 0, Kind::kFence);
}

inline void Machine::begin_atomic() {
  Thread& me = state.threads[state.running];
  me.needs_empty = true;
  pause();
  me.needs_empty = false;
}

inline void Machine::set(u64& word, u64 value) {
  if (word == value) return;
  word = value;
  if (is_signal(&word)) tell_change();
}

inline void Machine::tell_change() {
  for (u32 t = 0; t < state.count; ++t) {
    if (t != state.running) state.threads[t].changed = true;
  }
}

inline void Machine::look_again() {
  Thread& me = state.threads[state.running];
  const auto changed = [&me] { return me.changed; };
  block_until(changed);
  me.changed = false;
}

inline void Machine::wait_while(const u64& word, u64 seen) {
  block_until([&word, seen] { return word != seen; });
}

inline bool Machine::drainable(const Thread& thread, u32 index) const {
  const Store& store = thread.store[index];
  if (store.kind == Kind::kFence) return false;
  if (store.kind == Kind::kRelease) return index == 0;
  for (u32 n = 0; n < index; ++n) {
    if (thread.store[n].kind == Kind::kFence || thread.store[n].word == store.word) return false;
  }
  return true;
}

inline bool Machine::can_run(u32 index) const {
  const Thread& thread = state.threads[index];
  if (thread.done || (thread.needs_empty && thread.stores != 0)) return false;
  return thread.ready == nullptr || thread.ready(thread.condition);
}

inline u32 Machine::choices(Choice* out) const {
  u32 count = 0;
  // The thread that ran last first: schedules with few switches are tried, and read, first.
  for (u32 n = 0; n < state.count; ++n) {
    const u32 t = (state.running + n) % state.count;
    if (can_run(t)) out[count++] = {u8(t), 0};
  }
  for (u32 n = 0; n < state.count; ++n) {
    const u32 t = (state.running + n) % state.count;
    for (u32 s = 0; s < state.threads[t].stores; ++s) {
      if (drainable(state.threads[t], s)) out[count++] = {u8(t), u8(s + 1)};
    }
  }
  return count;
}

inline void Machine::drain(u32 index, u32 which) {
  Thread& thread = state.threads[index];
  const Store store = thread.store[which];
  const auto remove = [&thread](u32 at) {
    --thread.stores;
    for (u32 n = at; n < thread.stores; ++n) thread.store[n] = thread.store[n + 1];
  };
  remove(which);
  while (thread.stores != 0 && thread.store[0].kind == Kind::kFence) remove(0);
  const u32 before = state.running;
  state.running = index;
  if (tracing) {
    log("          %s = %llu is visible", word_name(store.word).c_str(), store.value);
  }
  set(*store.word, store.value);
  state.running = before;
}

inline void Machine::apply(Choice choice) {
  if (choice.drain != 0) {
    drain(choice.thread, choice.drain - 1u);
  } else {
    switch_to_thread(choice.thread);
  }
}

}  // namespace explore
