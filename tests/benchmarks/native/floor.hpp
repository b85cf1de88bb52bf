// The floors: what two threads and a cache line can do at all, with no protocol around it.
#pragma once

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "host/clock.hpp"

namespace floors {

using gpures::u64;

struct alignas(64) Line {
  std::atomic<u64> value{0};
};

// One word there, one word back. `shared`: both in one line; `pause`: relax between looks.
inline double ping_pong_ns(int rounds, bool shared, bool pause) {
  static Line lines[2];
  struct alignas(64) Both {
    std::atomic<u64> there{0}, back{0};
  };
  static Both both;
  std::atomic<u64>& there = shared ? both.there : lines[0].value;
  std::atomic<u64>& back = shared ? both.back : lines[1].value;
  there = back = 0;
  const auto wait = [&](std::atomic<u64>& word, u64 wanted) {
    while (word.load(std::memory_order_acquire) != wanted) {
      if (pause) gpures::cpu_relax();
    }
  };
  std::thread other([&] {
    for (int n = 1; n <= rounds; ++n) {
      wait(there, u64(n));
      back.store(u64(n), std::memory_order_release);
    }
  });
  const u64 since = gpures::steady_ns();
  for (int n = 1; n <= rounds; ++n) {
    there.store(u64(n), std::memory_order_release);
    wait(back, u64(n));
  }
  const u64 spent = gpures::steady_ns() - since;
  other.join();
  return double(spent) / rounds;
}

// A bare single-producer single-consumer ring of 64-byte slots with cached indices.
inline double spsc_per_second(u64 messages) {
  struct alignas(64) Slot {
    u64 words[8];
  };
  constexpr u64 kSlots = 1024;
  static Slot slots[kSlots];
  static Line head, tail;
  head.value = tail.value = 0;
  u64 sum = 0;
  const u64 since = gpures::steady_ns();
  std::thread consumer([&] {
    u64 known = 0;
    for (u64 n = 0; n < messages; ++n) {
      while (known == n) known = head.value.load(std::memory_order_acquire);
      Slot copy = slots[n % kSlots];
      u64 all = 0;
      for (u64 w = 0; w < 8; ++w) all += copy.words[w];
      sum += all / 8;
      tail.value.store(n + 1, std::memory_order_release);
    }
  });
  u64 known = 0;
  for (u64 n = 0; n < messages; ++n) {
    while (n - known == kSlots) known = tail.value.load(std::memory_order_acquire);
    Slot& slot = slots[n % kSlots];
    for (u64 w = 0; w < 8; ++w) slot.words[w] = n;
    head.value.store(n + 1, std::memory_order_release);
  }
  consumer.join();
  const u64 spent = gpures::steady_ns() - since;
  return sum == messages * (messages - 1) / 2 ? double(messages) * 1e9 / double(spent) : 0.0;
}

}  // namespace floors
