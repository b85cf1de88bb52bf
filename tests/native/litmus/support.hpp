// Memory and limits for tests with real threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "check.hpp"
#include "shared/ring.hpp"

namespace litmus {

using namespace gpures;

// One ring of any number of slots, as a worker sees it.
class RingMemory {
 public:
  explicit RingMemory(u64 slot_count, u32 index = 0)
      : slots_(slot_count), pages_(slot_count * kPageBytes), completions_(slot_count) {
    view.slots = slots_.data();
    view.pages = pages_.data();
    view.completions = completions_.data();
    view.control = &control_;
    view.state = &state_;
    view.slot_count = slot_count;
    view.index = index;
  }
  // The words of the page of a position.
  u64* page(u64 position) const {
    return reinterpret_cast<u64*>(view.pages + (position & (view.slot_count - 1)) * kPageBytes);
  }
  Slot& slot(u64 position) const { return view.slots[position & (view.slot_count - 1)]; }
  CompletionEntry& completion(u64 position) const {
    return view.completions[position & (view.slot_count - 1)];
  }

  RingView view{};

 private:
  std::vector<Slot> slots_;
  std::vector<u8> pages_;
  std::vector<CompletionEntry> completions_;
  RingControl control_{};
  RingState state_{};
};

// Every wait of a litmus test ends: after the limit the process says where it stood and fails.
class Watchdog {
 public:
  explicit Watchdog(const char* what, std::chrono::seconds limit = std::chrono::seconds(120))
      : what_(what), thread_([this, limit] {
          std::unique_lock lock(mutex_);
          if (!ended_.wait_for(lock, limit, [this] { return over_; })) {
            std::fprintf(stderr, "%s: no end; reached position %llu\n", what_,
                         static_cast<unsigned long long>(reached.load()));
            std::_Exit(1);
          }
        }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    ended_.notify_all();
    thread_.join();
  }
  std::atomic<u64> reached{0};

 private:
  const char* what_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::thread thread_;
};

// Under a sanitizer each step costs tens of times more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr u64 kShare = 8;
#else
inline constexpr u64 kShare = 1;
#endif

inline u64 scramble(u64 position, u64 word) {
  return (position + 1) * 0x9e3779b97f4a7c15u + word * 0xbf58476d1ce4e5b9u;
}

}  // namespace litmus
